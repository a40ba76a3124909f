"""Record of how a probe was chosen among candidates, in figures and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mammal.tasks.metrics.registry import metric_named
from mammal.tasks.probes.probe import NAMES, Probe


@dataclass(frozen=True)
class Choice:
    """How the probe of a target column was chosen.

    Attributes:
        metric: name of the metric, or `loss` if the metric of the task is undefined on these rows.
        rows: on which rows: `valid`, or `folds` (of the training rows).
        count: number of these rows.
        scores: title of every candidate -> its value.
    """

    metric: str
    rows: str
    count: int
    scores: Mapping[str, float] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        return {"metric": self.metric, "rows": self.rows, "count": self.count, "scores": dict(self.scores)}

    @property
    def where(self) -> str:
        """The rows in words."""
        return f"{self.count:,} validation rows" if self.rows == "valid" else f"folds of {self.count:,} training rows"

    @property
    def best(self) -> float:
        """The best figure, with the sign that makes a higher one better; minus infinity without figures."""
        sign = 1 if self._higher_is_better else -1
        return max((sign * value for value in self.scores.values()), default=float("-inf"))

    @property
    def _higher_is_better(self) -> bool:
        return self.metric != "loss" and metric_named(self.metric).higher_is_better

    def sentence(self, probe: Probe) -> str:
        """Returns the model, its figure, and the best figure of each other kind of model.

        Args:
            probe: the probe that was chosen.
        """
        own = [title for title in self.scores if title.startswith(NAMES[probe.model])]
        better = max if self._higher_is_better else min
        best = {
            name: better((value, title) for title, value in self.scores.items() if title.startswith(words))
            for name, words in NAMES.items()
            if any(title.startswith(words) for title in self.scores)
        }
        figure = best[probe.model][0] if own else float("nan")
        others = [f"{title} {value:.3g}" for name, (value, title) in best.items() if name != probe.model]
        beside = f"; others: {', '.join(others)}" if others else ""
        return f"{probe.title}, {self.metric} {figure:.3g} on {self.where}{beside}"

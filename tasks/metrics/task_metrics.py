"""The metrics of a task: predictions compared with the labels of their rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import TaskError
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.metrics.distinct import over_distinct_inputs
from mammal.tasks.metrics.registry import LOG_METRICS, check_metrics, compute_metrics, intervals
from mammal.tasks.prompts.row_prompts import RowPrompts
from mammal.tasks.tables.cells import Row

if TYPE_CHECKING:
    from mammal.tokenization.tokenizer import Tokenizer


class TaskMetrics(RowPrompts, ABC):
    """The metrics of one declared task.

    Attributes:
        number_targets: target columns that contain a number.

    Further attributes: see `RowPrompts`.

    Raises:
        TaskError: the kind of task does not have a declared metric.
    """

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        scalars = [slot.column for slot in self.template.slots if slot.kind == "scalar" and slot.part == "target"]
        self.number_targets = list(dict.fromkeys(scalars))
        check_metrics(config.metrics, config.family, has_numbers=bool(self.number_targets))

    @property
    def metric_names(self) -> list[str]:
        """Names of the metrics that are computed: the declared ones, and if numbers are learned as logarithms
        (`scale.log`), those on the logarithmic scale. In the unit of the file, the largest numbers decide the error.
        """
        of_logarithms = LOG_METRICS if self.config.scale.log and self.number_targets else ()
        return list(dict.fromkeys([*self.config.metrics, *of_logarithms]))

    def metrics(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, float]:
        """Computes the metrics of the task over rows that have a prediction and a label.

        Args:
            predictions: one for each row.
            rows: rows with their target columns.

        Returns:
            Metric -> value. With several target columns, the mean over columns under the name of the metric, and
                `metric/column` for each; a column for which a metric is undefined is left out. `censored` is the number
                of labels that were left out because they are bounds, if there are any.
        """
        answers = self.answers(predictions, rows)
        return compute_metrics(self.metric_names, answers) | _censored(answers)

    def metric_intervals(
        self, predictions: Sequence[Prediction], rows: Sequence[Row], *, samples: int = 1000, seed: int = 0
    ) -> dict[str, tuple[float, float]]:
        """Computes 95 % bootstrap intervals of the metrics. Rows with equal inputs are resampled together.

        Args:
            predictions: one for each row.
            rows: rows with their target columns.
            samples: number of bootstrap samples.
            seed: of the bootstrap.

        Returns:
            Metric -> (low, high).
        """
        answers = over_distinct_inputs(self, self.answers(predictions, rows), rows)
        return intervals(self.metric_names, answers, samples=samples, seed=seed)

    @abstractmethod
    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        """Pairs truth and prediction for each target column, over rows that have both.

        Args:
            predictions: one for each row.
            rows: rows with their target columns.
        """

    def truths(self, rows: Sequence[Row]) -> np.ndarray:
        """Returns the labels of rows in the target columns, [N, K].

        Raises:
            TaskError: the kind has no such labels, because its targets are text.
        """
        raise TaskError(f"{self.name} is a {self.kind} task: its targets are text")


def _censored(answers: Mapping[str, Answers]) -> dict[str, float]:
    """Number of labels that are bounds, in total and by column."""
    counts = {f"censored/{column}": float(a.censored) for column, a in answers.items() if a.censored}
    if not counts:
        return {}
    return {"censored": sum(counts.values())} | (counts if len(answers) > 1 else {})

"""How the model compares with the bar: the best baseline, chosen on the validation rows (`TaskResult.bar`)."""

from __future__ import annotations

from math import isnan

from mammal.evaluation.results import OURS, TaskResult, readable_name, short
from mammal.evaluation.seeds import standing
from mammal.tasks.metrics.registry import metric_named

BEST = "best on valid"
"""Note of the baseline that is the bar."""


def standing_of(result: TaskResult, name: str) -> str:
    """Returns how the model compares with a baseline in the first metric over seeds (`standing`).

    Args:
        result: the result of a task.
        name: name of the baseline.
    """
    metric = result.metrics[0]
    by_name = {c.name: c.estimates.get(metric) for c in result.contenders}
    ours, other = by_name.get(OURS), by_name.get(name)
    if name == OURS or ours is None or other is None:
        return ""
    return standing(ours, other, higher_is_better=metric_named(metric).higher_is_better)


def verdict(result: TaskResult) -> str:
    """Returns a sentence that names the best baseline and, over seeds, says how the model compares with it.

    Empty if the best baseline is not known.
    """
    bar = result.bar
    if bar is None:
        return ""
    metric, baselines = result.metrics[0], sum(not isnan(one.valid) for one in result.contenders[1:])
    which = f"{readable_name(bar.name)}, the best of {baselines} baselines on the validation rows"
    figures = f"{metric} {short(bar.valid)} there"
    if bar.estimates.get(metric) and result.part != "valid":
        figures += f", {short(bar.estimates[metric].value)} on {result.part}"
    compared = standing_of(result, bar.name) if result.intervals == "seeds" else ""
    if compared:
        joined = {"level": "level with", "ahead": "ahead of", "behind": "behind"}[compared]
        return f"{OURS} is {joined} {which} ({figures})."
    return f"The bar is {which} ({figures})."


def notes_of(result: TaskResult) -> dict[str, str]:
    """Returns for each contender what the table says about it: that it is the bar, and its settings."""
    bar = result.bar
    return {c.name: "; ".join(filter(None, [BEST if c is bar else "", c.note])) for c in result.contenders}

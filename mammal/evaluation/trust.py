"""Figures of intervals and sets of labels on held-out rows: how often they contain the truth, and how large they are.

Shapes: N rows, T coverages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.targets.conformal import LEVELS

if TYPE_CHECKING:
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.kinds.classification import ClassificationTask
    from mammal.tasks.kinds.regression import RegressionTask
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task


_NORMAL_90 = NormalDist().inv_cdf(0.95)
"""Half of the central 90 % of the standard normal distribution."""

_NARROWEST = 1e-9
"""Smallest width of an interval whose likelihood is computed."""


@dataclass(frozen=True)
class IntervalFigures:
    """Figures of the intervals of one target column.

    Attributes:
        coverage: share of the true values inside the intervals.
        width: mean width of the intervals, in the unit of the target.
        observed: share of the true values inside the intervals of each coverage of `LEVELS`. Empty if the bundle does
            not contain them.
        miscalibration: mean of |observed - expected| over these coverages, 0 to 0.5 (miscalibration area, Kuleshov et
            al. 2018); NaN without them.
        nll: mean negative log-likelihood, in nats, of a normal distribution with the interval of the row as its
            central 90 %, per unit of the target or of its logarithm (`log: true`); lower is better. NaN in earlier
            evaluations.
    """

    coverage: float
    width: float
    observed: Sequence[float] = ()
    miscalibration: float = float("nan")
    nll: float = float("nan")


@dataclass(frozen=True)
class SetFigures:
    """Figures of the sets of labels of one target column.

    Attributes:
        coverage: label -> share of the rows with this label whose set contains it.
        size: mean number of labels of a set.
        single: share of the sets with exactly one label.
        empty: share of the sets without a label.
    """

    coverage: Mapping[str, float]
    size: float
    single: float
    empty: float


def trust_figures(
    task: Task, predictions: Sequence[Prediction], rows: Sequence[Row]
) -> tuple[dict[str, IntervalFigures], dict[str, SetFigures]]:
    """Returns the figures of the intervals and those of the sets of labels, by target column.

    Args:
        task: the task; both are empty if it has neither.
        predictions: one for each row.
        rows: held-out rows.
    """
    from mammal.tasks.kinds.classification import ClassificationTask
    from mammal.tasks.kinds.regression import RegressionTask

    intervals = _interval_figures(task, predictions, rows) if isinstance(task, RegressionTask) else {}
    return intervals, _set_figures(task, predictions, rows) if isinstance(task, ClassificationTask) else {}


def _interval_figures(
    task: RegressionTask, predictions: Sequence[Prediction], rows: Sequence[Row]
) -> dict[str, IntervalFigures]:
    """The figures of the intervals by target column; columns without intervals have none."""
    found = {}
    for target, answers in task.answers(predictions, rows).items():
        pairs = zip(answers.numbers_N.tolist(), answers.truth_N.tolist(), strict=True)
        judged = [(predictions[row], truth) for row, truth in pairs if predictions[row].for_target(target).interval]
        if judged:
            found[target] = _of_intervals(task, target, judged)
    return found


def _of_intervals(task: RegressionTask, target: str, judged: list[tuple[Prediction, float]]) -> IntervalFigures:
    limits_N2 = np.array([one.for_target(target).interval for one, _ in judged], dtype=np.float64)
    truth_N = np.array([truth for _, truth in judged])
    inside_N = (limits_N2[:, 0] <= truth_N) & (truth_N <= limits_N2[:, 1])
    observed = _at_levels(task, target, judged)
    apart = float(np.mean(np.abs(np.array(observed) - LEVELS))) if observed else float("nan")
    share, width = float(inside_N.mean()), float(np.diff(limits_N2, axis=1).mean())
    return IntervalFigures(share, width, observed, apart, _nll(task, target, judged))


def _nll(task: RegressionTask, target: str, judged: list[tuple[Prediction, float]]) -> float:
    """Mean negative log-likelihood of the normal distributions that have the intervals as their central 90 %."""
    scale, found = task.scales[target], []
    for row, truth in judged:
        answer = row.for_target(target)
        if answer.value is None or answer.interval is None or (scale.log and min(truth, *answer.interval) <= 0):
            continue
        low, high = map(scale.line, answer.interval)
        sd = max(high - low, _NARROWEST) / (2 * _NORMAL_90)
        z = (scale.line(truth) - scale.line(answer.value)) / sd
        found.append(0.5 * z**2 + math.log(sd) + 0.5 * math.log(2 * math.pi))
    return float(np.mean(found)) if found else float("nan")


def _at_levels(task: RegressionTask, target: str, judged: list[tuple[Prediction, float]]) -> list[float]:
    """Share of the true values inside the intervals of each coverage, on the linear scale of the target."""
    conformal, scale = task.conformal[target], task.scales[target]
    inside = []
    for row, truth in judged:
        answer = row.for_target(target)
        half_widths_T = conformal.half_widths_of(row.similarity, answer.spread)
        if not half_widths_T or answer.value is None or (scale.log and truth <= 0):
            continue
        inside.append(abs(scale.line(truth) - scale.line(answer.value)) <= np.array(half_widths_T))
    return np.mean(inside, axis=0).tolist() if inside else []


def _set_figures(
    task: ClassificationTask, predictions: Sequence[Prediction], rows: Sequence[Row]
) -> dict[str, SetFigures]:
    """The figures of the sets of labels by target column; columns without sets have none."""
    found = {}
    for target, answers in task.answers(predictions, rows).items():
        sets = [predictions[row].for_target(target).label_set for row in answers.numbers_N.tolist()]
        judged = [
            (one, task.labels.labels[truth])
            for one, truth in zip(sets, answers.truth_N, strict=True)
            if one is not None
        ]
        if judged:
            sizes_N = np.array([len(one) for one, _ in judged])
            labels = dict.fromkeys(label for _, label in judged)
            coverage = {
                label: float(np.mean([label in one for one, true in judged if true == label])) for label in labels
            }
            shares = (sizes_N == 1).mean(), (sizes_N == 0).mean()
            found[target] = SetFigures(coverage, float(sizes_N.mean()), *map(float, shares))
    return found

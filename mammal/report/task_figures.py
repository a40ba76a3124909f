"""The pictures of one task's answers, and the rows that went worst.

Shapes: N held-out rows with a truth and an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mammal.report import plots
from mammal.report.page import figure
from mammal.report.results import OURS, TaskResult, spoken

if TYPE_CHECKING:
    import pandas as pd

WORST_ROWS = 8


def task_figures(result: TaskResult) -> list[str]:
    """ROC, precision-recall and calibration for two classes; parity for numbers; none for other kinds.

    A task with several target columns would need as many of each: it has its table.
    """
    answers = _judged(result)
    if not len(answers):
        return []
    if result.kind == "regression":
        return _regression_figures(result, answers)
    return _classification_figures(result, answers)


def worst_rows(result: TaskResult) -> pd.DataFrame:
    """The rows with the largest error, or with the most confident wrong class; empty where that has no meaning."""
    answers = _judged(result)
    error_N = (answers[OURS] - answers[TRUTH]).abs() if len(answers) else answers.index.to_series()
    worst = result.answers.loc[error_N.sort_values(ascending=False).index[:WORST_ROWS]]
    return worst.drop(columns=[c for c in ("low", "high") if c in worst]).rename(columns=spoken)


TRUTH = "truth"


def _judged(result: TaskResult) -> pd.DataFrame:
    """Rows that every contender answered, truth as a number: the value, or 1 for the last of two labels."""
    from mammal.tasks.labels import LabelSet

    answers = result.answers
    binary = result.kind == "classification" and len(result.labels) == 2
    if not (binary or result.kind == "regression") or "target" in answers or not len(answers):
        return answers.iloc[:0]
    answers = answers.dropna(subset=[TRUTH, *(c.name for c in result.contenders)])
    if binary:
        labels = LabelSet(list(result.labels))
        answers = answers.assign(truth=[labels.index(value, TRUTH) for value in answers[TRUTH]])
    return answers


def _classification_figures(result: TaskResult, answers: pd.DataFrame) -> list[str]:
    truth_N = answers[TRUTH].to_numpy(dtype=int)
    if len(np.unique(truth_N)) < 2:
        return []
    models = {spoken(c.name): (truth_N, answers[c.name].to_numpy(dtype=float)) for c in result.contenders}
    return [
        figure(plots.roc(models), "Area under the curve in the legend."),
        figure(plots.precision_recall(models), "Average precision in the legend; dashed: share of positives."),
        figure(plots.calibration(*models[OURS]), f"{OURS}; bins of equal count, 95 % Wilson intervals."),
    ]


def _regression_figures(result: TaskResult, answers: pd.DataFrame) -> list[str]:
    """Ours with its intervals, and the baseline with the smallest mean absolute error."""
    truth_N = answers[TRUTH].to_numpy(dtype=float)
    intervals = answers[["low", "high"]].to_numpy(dtype=float) if "low" in answers else None
    ours_N = answers[OURS].to_numpy(dtype=float)
    bars = "" if intervals is None else f"; bars: its prediction intervals, of up to {plots.MOST_BARS} rows"
    drawn = [figure(plots.parity(truth_N, ours_N, result.unit, intervals), f"{OURS}{bars}")]
    errors = {c.name: float((answers[c.name] - answers[TRUTH]).abs().mean()) for c in result.contenders[1:]}
    if errors:
        best = min(errors, key=errors.__getitem__)
        drawn.append(figure(plots.parity(truth_N, answers[best].to_numpy(dtype=float), result.unit), spoken(best)))
    return drawn

"""The figures about the answers of one task, and the rows with the largest errors.

Shapes: N held-out rows with a truth and an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mammal.evaluation.results import OURS, TARGET, Contender, TaskResult, spoken
from mammal.report import plots
from mammal.report.page import figure

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

WORST_ROWS = 8
MOST_CURVES = 4
"""Maximum number of baselines in one figure. More could not be distinguished."""
FEWEST_ROWS = 20
"""With fewer rows, differences between quarters of the rows would be due to chance."""
TRUTH, SIMILARITY = "truth", "similarity"


def task_figures(result: TaskResult) -> list[Markup]:
    """Returns ROC, precision-recall and calibration for two classes, parity plots for numbers, else nothing.

    A task with several target columns has no figures either, because it would need many. Its table shows them all.
    """
    answers = _judged(result)
    if not len(answers):
        return []
    if result.kind == "regression":
        return _regression_figures(result, answers)
    return _classification_figures(result, answers)


def worst_rows(result: TaskResult) -> pd.DataFrame:
    """Returns the rows with the worst answers: largest error, most confident wrong class, or text with lowest metrics.

    Errors of several target columns are compared in standard deviations of the truth of each column. The result is
    empty for other kinds of tasks.
    """
    if (by_row := _row_metrics(result)) and len(result.answers):
        figures_N = result.answers[by_row].mean(axis=1)
        return result.answers.loc[figures_N.sort_values(kind="stable").index[:WORST_ROWS]].rename(columns=spoken)
    answers = _judged(result, several=True)
    if not len(answers):
        return answers
    errors_N = errors(answers)
    if TARGET in answers and result.kind == "regression":
        errors_N = errors_N / answers.groupby(TARGET)[TRUTH].transform("std").replace(0.0, np.nan)
    worst = result.answers.loc[errors_N.sort_values(ascending=False).index[:WORST_ROWS]]
    return worst.rename(columns=spoken)


def by_similarity(result: TaskResult) -> pd.DataFrame:
    """Returns the mean error of the model in each quarter of the rows, sorted by similarity to the training rows.

    For generated text, it is the mean of the first metric. The result is empty if errors or similarities are unknown.
    """
    import pandas as pd

    by_row = _row_metrics(result)
    answers = result.answers if by_row else _judged(result, several=True)
    known = answers.dropna(subset=[SIMILARITY]) if SIMILARITY in answers else answers.iloc[:0]
    if len(known) < FEWEST_ROWS:
        return pd.DataFrame()
    ordered = known.sort_values(SIMILARITY)
    measure = "mean absolute error" if result.kind == "regression" else "mean error of the probability"
    measure = by_row[0] if by_row else measure
    lines = []
    for places in np.array_split(np.arange(len(ordered)), 4):
        quarter = ordered.iloc[places]
        low, high = quarter[SIMILARITY].iloc[0], quarter[SIMILARITY].iloc[-1]
        figure_N = quarter[by_row[0]] if by_row else errors(quarter)
        lines.append({SIMILARITY: f"{low:.2f} to {high:.2f}", "rows": len(quarter), measure: float(figure_N.mean())})
    return pd.DataFrame(lines)


def _row_metrics(result: TaskResult) -> list[str]:
    """Returns the metrics of generated text that are known for each row, in the order of the task's declaration."""
    return [name for name in result.metrics if result.kind == "generation" and name in result.answers]


def errors(answers: pd.DataFrame) -> pd.Series:
    """Returns the error of the model for each row: in the unit, or 1 minus the probability of the true class."""
    return (answers[OURS] - answers[TRUTH]).abs()


def _judged(result: TaskResult, *, several: bool = False) -> pd.DataFrame:
    """Returns the rows that all contenders answered. Truth is a number: the value, or 1 for the last of two labels.

    Empty for other kinds of tasks and, unless `several` is set, for tasks with several target columns.
    """
    from mammal.tasks.targets.labels import LabelSet

    answers = result.answers
    binary = result.kind == "classification" and len(result.labels) == 2
    if not (binary or result.kind == "regression") or (TARGET in answers and not several) or not len(answers):
        return answers.iloc[:0]
    answers = answers.dropna(subset=[TRUTH, *(c.name for c in _with_answers(result))])
    if binary:
        labels = LabelSet(list(result.labels))
        answers = answers.assign(truth=[labels.index(value, TRUTH) for value in answers[TRUTH]])
    return answers


def _with_answers(result: TaskResult) -> list[Contender]:
    """Returns the contenders whose answers are stored for each row."""
    return [contender for contender in result.contenders if contender.name in result.answers]


def _classification_figures(result: TaskResult, answers: pd.DataFrame) -> list[Markup]:
    truth_N = answers[TRUTH].to_numpy(dtype=int)
    if len(np.unique(truth_N)) < 2:
        return []
    models = {spoken(c.name): (truth_N, answers[c.name].to_numpy(dtype=float)) for c in _to_draw(result)}
    return [
        figure(plots.roc(models), "Area under the curve in the legend."),
        figure(plots.precision_recall(models), "Average precision in the legend; dashed: share of positives."),
        figure(plots.calibration(*models[OURS]), f"{OURS}; bins of equal count, 95 % Wilson intervals."),
    ]


def _to_draw(result: TaskResult) -> list[Contender]:
    """Returns the model and the best baselines by the first metric, except the constant one, which has no curve."""
    from mammal.tasks.metrics.registry import metric_named

    metric = result.metrics[0]
    sign = -1 if metric_named(metric).higher_is_better else 1
    ours, *others = _with_answers(result)
    known = [c for c in others if metric in c.estimates and c.name != "mean"]
    known.sort(key=lambda c: sign * c.estimates[metric].value)
    return [ours, *known[:MOST_CURVES]]


def _regression_figures(result: TaskResult, answers: pd.DataFrame) -> list[Markup]:
    """Draws the model with its intervals, and the baseline with the smallest mean absolute error."""
    truth_N = answers[TRUTH].to_numpy(dtype=float)
    intervals = answers[["low", "high"]].to_numpy(dtype=float) if "low" in answers else None
    ours_N = answers[OURS].to_numpy(dtype=float)
    bars = "" if intervals is None else f"; bars: its prediction intervals, of up to {plots.MOST_BARS} rows"
    drawn = [figure(plots.parity(truth_N, ours_N, result.unit, intervals), f"{OURS}{bars}")]
    errors = {c.name: float((answers[c.name] - answers[TRUTH]).abs().mean()) for c in _with_answers(result)[1:]}
    if errors:
        best = min(errors, key=errors.__getitem__)
        drawn.append(figure(plots.parity(truth_N, answers[best].to_numpy(dtype=float), result.unit), spoken(best)))
    return drawn

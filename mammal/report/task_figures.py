"""The figures about the answers of one task, and its error by similarity to the training rows.

Shapes: N held-out rows with a truth and an answer.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.evaluation.distance import FEWEST_ROWS, INSIDE, OUTSIDE, SimilarityGroup
from mammal.evaluation.results import OURS, TARGET, TRUTH, Contender, TaskResult, readable_name
from mammal.report import plots
from mammal.report.page import figure
from mammal.report.words import metric_name, positive_class, with_unit
from mammal.report.worst_rows import row_metrics
from mammal.tasks.applicability.training_rows import OUTSIDE as LIMIT
from mammal.tasks.targets.conformal import LEVELS

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

MOST_CURVES = 4
"""Maximum number of baselines in one figure. More could not be distinguished."""
SIMILARITY = "similarity"


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


def by_similarity(result: TaskResult) -> pd.DataFrame:
    """Returns the mean error of the model in groups of rows, sorted by similarity to the training rows.

    The groups are those of `mammal.evaluation.distance`. For generated text and for results of earlier versions, they
    are quarters; for generated text, the column has the mean of the first metric. The result is empty if errors or
    similarities are unknown.
    """
    import pandas as pd

    if result.distance:
        return pd.DataFrame([_group_line(result, group) for group in result.distance]).dropna(axis=1, how="all")

    by_row = row_metrics(result)
    answers = result.answers if by_row else _judged(result, several=True)
    known = answers.dropna(subset=[SIMILARITY]) if SIMILARITY in answers else answers.iloc[:0]
    if len(known) < FEWEST_ROWS:
        return pd.DataFrame()
    ordered = known.sort_values(SIMILARITY)
    measure = metric_name(by_row[0]) if by_row else _measure(result)
    lines = []
    for places in np.array_split(np.arange(len(ordered)), 4):
        quarter = ordered.iloc[places]
        low, high = quarter[SIMILARITY].iloc[0], quarter[SIMILARITY].iloc[-1]
        figure_N = quarter[by_row[0]] if by_row else row_errors(quarter)
        lines.append(
            {
                "similarity to the nearest training row": f"{low:.2f} to {high:.2f}",
                "rows": len(quarter),
                measure: float(figure_N.mean()),
            }
        )
    return pd.DataFrame(lines)


def _group_line(result: TaskResult, group: SimilarityGroup) -> dict[str, Any]:
    flagged = {OUTSIDE: f"outside: percentile below {LIMIT:g}", INSIDE: "the other rows"}
    return {
        "rows by similarity": flagged.get(group.name, group.name),
        "similarity to the nearest training row": f"{group.low:.2f} to {group.high:.2f}",
        "rows": group.rows,
        _measure(result): group.error,
        "true values inside the interval": None if isnan(group.coverage) else f"{group.coverage:.0%}",
    }


def _measure(result: TaskResult) -> str:
    if result.kind == "regression":
        return with_unit("mean absolute error", result.unit)
    return "share of wrong labels" if result.kind == "token_classification" else "mean error of the probability"


def distance_figure(result: TaskResult) -> list[Markup]:
    """Returns the figure of errors by similarity to the training rows; none if groups are unknown."""
    groups = [group for group in result.distance if group.name not in (OUTSIDE, INSIDE)]
    if not groups:
        return []
    drawn = plots.by_distance(
        [f"{group.low:.2f} to {group.high:.2f}" for group in groups],
        [group.error for group in groups],
        [group.coverage for group in groups],
        _measure(result),
    )
    covered = "" if isnan(groups[0].coverage) else " Line: share of the true values inside the intervals."
    return [figure(drawn, f"{OURS}. Each bar has the same number of rows, the farthest ones first.{covered}")]


def row_errors(answers: pd.DataFrame) -> pd.Series:
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
    drawn, of_all = _to_draw(result)
    models = {readable_name(c.name): (truth_N, answers[c.name].to_numpy(dtype=float)) for c in drawn}
    positive = positive_class(result)
    which = f"Positive class: {positive}. "
    cut = "" if len(drawn) == of_all else f" {len(drawn)} of {of_all} models are shown, the best baselines first."
    probability_N = models[OURS][1]
    return [
        figure(plots.roc(models, positive), f"{which}Legend: area under the curve (AUROC); dashed line: chance.{cut}"),
        figure(
            plots.precision_recall(models, positive),
            f"{which}Legend: average precision (AUPRC); dashed line: share of positives, which is chance.{cut}",
        ),
        figure(
            plots.calibration(truth_N, probability_N, positive=positive),
            f"{OURS}. Each point has the same number of rows; bars: 95 % confidence intervals (Wilson). On the dashed "
            "line, probabilities are as often right as they say.",
        ),
    ]


def _to_draw(result: TaskResult) -> tuple[list[Contender], int]:
    """Returns the model and the best baselines by the first metric, and how many models have a curve.

    The constant baseline has none. The best are those on the validation rows; on the evaluated rows only if no figures
    on validation rows are known.
    """
    from mammal.tasks.metrics.registry import metric_named

    metric = result.metrics[0]
    sign = -1 if metric_named(metric).higher_is_better else 1
    ours, *others = _with_answers(result)
    known = [c for c in others if metric in c.estimates and c.name != "mean"]
    by_valid = [c for c in known if not isnan(c.valid)]
    best = sorted(by_valid or known, key=lambda c: sign * (c.valid if by_valid else c.estimates[metric].value))
    return [ours, *best[:MOST_CURVES]], 1 + len(known)


def _regression_figures(result: TaskResult, answers: pd.DataFrame) -> list[Markup]:
    """Draws the model with its intervals, and the best baseline on the validation rows.

    If that is not known, it is the baseline with the smallest mean absolute error.
    """
    truth_N = answers[TRUTH].to_numpy(dtype=float)
    intervals = answers[["low", "high"]].to_numpy(dtype=float) if "low" in answers else None
    ours_N = answers[OURS].to_numpy(dtype=float)
    bars = ""
    if intervals is not None:
        drawn_of = min(len(answers), plots.MOST_BARS)
        bars = f" Bars: its 90 % prediction intervals, for {drawn_of:,} of {len(answers):,} rows."
    line = "On the dashed line, the prediction is right."
    drawn = [figure(plots.parity(truth_N, ours_N, result.unit, intervals), f"{OURS}. {line}{bars}")]
    for found in result.interval_figures.values():
        if found.observed:
            equal = "On the dashed line, intervals contain the true value as often as they should."
            picture = plots.coverages(np.array(LEVELS), np.array(found.observed), len(answers))
            drawn.append(figure(picture, f"{OURS}. {equal} Bars: 95 % confidence intervals (Wilson)."))
    errors = {c.name: float((answers[c.name] - answers[TRUTH]).abs().mean()) for c in _with_answers(result)[1:]}
    if errors:
        bar = result.bar
        best = bar.name if bar is not None and bar.name in errors else min(errors, key=errors.__getitem__)
        caption = f"Best baseline: {readable_name(best)}. {line}"
        drawn.append(figure(plots.parity(truth_N, answers[best].to_numpy(dtype=float), result.unit), caption))
    return drawn

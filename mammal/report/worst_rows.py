"""The rows that a model answers wrongly, the worst first: as a table, and as drawings of their molecules.

Shapes: N held-out rows with a truth and an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mammal.evaluation.results import LABEL, OURS, TARGET, TRUTH, TaskResult, readable_name, short
from mammal.report.molecules import answer_cards
from mammal.report.page import heading, paragraph
from mammal.report.sections import frame_table, shown_of
from mammal.report.words import with_unit

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

ROWS, DRAWN = 8, 12
"""Maximum numbers of rows in the table and of molecules that are drawn (more for the last row that is drawn)."""
FLOAT_NOISE = 1e-9
CASES = 24
"""Maximum number of characters of a text in the caption of a molecule."""

RIGHT = ("exact_match", "molecule_match", "main_molecule_match", "opsin_match")
"""Metrics that say whether a generated answer is right: one of them is enough. An answer of a task without them is
right if all its metrics have their best value."""
NOT_OF_THE_ANSWER = ("condition_mae_shuffled", "pseudo_perplexity", "antibody_pseudo_perplexity")
"""Metrics of rows that do not say whether an answer is right: a control, and measures without a best value."""


@dataclass(frozen=True)
class Wrong:
    """The rows with a wrong answer.

    Attributes:
        rows: lines of the table of answers, the worst first. A column `error` is added for numbers.
        judged: number of lines that were looked at.
    """

    rows: pd.DataFrame
    judged: int


def worst_section(result: TaskResult) -> list[Markup]:
    """Returns the part of a page about the rows that the model answers wrongly; empty if no row can be judged."""
    wrong = wrong_rows(result)
    if not wrong.judged:
        return []
    regression = result.kind == "regression"
    title = "Rows with the largest errors" if regression else "Rows with wrong answers, the worst first"
    if not len(wrong.rows):
        return [heading(title), paragraph(f"None: all {wrong.judged:,} evaluated answers are right.")]
    shown = wrong.rows.head(ROWS)
    what = "rows" if regression else "wrong answers"
    among = f", of {wrong.judged:,} evaluated answers" if len(wrong.rows) < wrong.judged else ""
    counted = f"{shown_of(len(shown), len(wrong.rows), what)}{among}. {_how(result)}"
    numbers = "is the number in the table, from 1," if result.row_numbers else "counts the evaluated rows from 0,"
    where = f"The column `row` {numbers} as in `{result.answers_file}`."
    drawn = _drawings(result, wrong.rows)
    return [heading(title), paragraph(f"{counted} {where}", note=True), *drawn, _table(result, shown)]


def wrong_rows(result: TaskResult) -> Wrong:
    """Finds the rows with a wrong answer.

    A number is wrong if it differs from the truth, a class if it is another one, and a generated text as `RIGHT` says.
    Errors of several target columns are compared in standard deviations of the truth of each column.

    Args:
        result: an evaluated task.

    Returns:
        The rows, sorted by how wrong they are. No row is judged for tasks that these rules do not cover.
    """
    answers = result.answers
    if not len(answers):
        return Wrong(answers, 0)
    if result.kind == "generation":
        return _of_texts(result)
    if result.kind not in ("regression", "classification"):
        return Wrong(answers.iloc[:0], 0)
    answers = answers.dropna(subset=[TRUTH, OURS])
    return (_of_numbers if result.kind == "regression" else _of_classes)(result, answers)


def _of_numbers(result: TaskResult, answers: pd.DataFrame) -> Wrong:
    errors_N = (answers[OURS] - answers[TRUTH]).abs()
    relative_N = errors_N
    if TARGET in answers:
        relative_N = errors_N / answers.groupby(TARGET)[TRUTH].transform("std").replace(0.0, np.nan)
    noise_N = FLOAT_NOISE * answers[TRUTH].abs().clip(lower=1.0)
    worst = _sorted(answers.assign(error=errors_N), relative_N, errors_N > noise_N)
    return Wrong(worst, len(answers))


def _of_classes(result: TaskResult, answers: pd.DataFrame) -> Wrong:
    from mammal.tasks.targets.labels import LabelSet

    labels = LabelSet(list(result.labels))
    answers = answers[[labels.find(value) is not None for value in answers[TRUTH]]]
    truth_N = np.array([labels.find(value) for value in answers[TRUTH]], dtype=int)
    two = len(result.labels) == 2
    if LABEL in answers:
        said_N = np.array([-1 if (at := labels.find(value)) is None else at for value in answers[LABEL]], dtype=int)
    elif two:  # evaluations of earlier versions have no column of predicted labels
        said_N = (answers[OURS] >= 0.5).to_numpy(dtype=int)
    else:
        return Wrong(answers.iloc[:0], 0)
    # Two classes: the probability of the positive class. More: the probability of the predicted class.
    error_N = (answers[OURS] - truth_N).abs() if two else answers[OURS]
    return Wrong(_sorted(answers, error_N, said_N != truth_N), len(answers))


def _of_texts(result: TaskResult) -> Wrong:
    answers, names = result.answers, row_metrics(result)
    figures = answers[[name for name in names if name not in NOT_OF_THE_ANSWER]].astype(float)
    known = figures.notna().any(axis=1)
    answers, figures = answers[known], figures[known]
    distances = figures.apply(_distance_from_best)
    matches = [name for name in figures if name in RIGHT]
    right_N = (
        (distances[matches] <= FLOAT_NOISE).any(axis=1) if matches else (distances.fillna(0) <= FLOAT_NOISE).all(axis=1)
    )
    return Wrong(_sorted(answers, distances.mean(axis=1), ~right_N), len(answers))


def _distance_from_best(figures_N: pd.Series) -> pd.Series:
    """How far a metric is from its best value (1, or 0 for errors), on one scale from 0 to 1 for all metrics."""
    from mammal.tasks.metrics.registry import metric_named

    if metric_named(str(figures_N.name)).higher_is_better:
        return 1 - figures_N
    return figures_N / (1 + figures_N)


def _sorted(answers: pd.DataFrame, how_wrong_N: pd.Series, is_wrong_N: np.ndarray | pd.Series) -> pd.DataFrame:
    wrong_N = how_wrong_N[np.asarray(is_wrong_N)].dropna()
    return answers.loc[wrong_N.sort_values(ascending=False, kind="stable").index]


def row_metrics(result: TaskResult) -> list[str]:
    """Returns the metrics of generated text that are known for each row, in the order of the task's declaration."""
    return [name for name in result.metrics if result.kind == "generation" and name in result.answers]


def _how(result: TaskResult) -> str:
    """Says when an answer counts as wrong, and what the order is."""
    if result.kind == "regression":
        several = ", in standard deviations of the values of each target" if TARGET in result.answers else ""
        return f"Sorted by absolute error{several}."
    if result.kind == "classification":
        return "An answer is wrong if the predicted class is not the true one; sorted by how sure the model was."
    names = [name for name in row_metrics(result) if name not in NOT_OF_THE_ANSWER]
    rule = " and ".join(f"`{name}`" for name in names)
    if any(name in RIGHT for name in names):
        rule = " or ".join(f"`{name}`" for name in names if name in RIGHT)
    return f"An answer is right if it has the best value of {rule}; sorted by the mean over all metrics of a row."


def _table(result: TaskResult, shown: pd.DataFrame) -> Markup:
    return frame_table(shown.rename(columns=lambda name: column_name(result, str(name))))


def column_name(result: TaskResult, column: str) -> str:
    """Returns the heading of a column of the table of answers, with unit and positive class."""
    if result.kind == "regression":
        names = {TRUTH: "true value", "low": "interval from", "high": "to", "error": "absolute error of MAMMAL"}
        numbers = {*names, *(contender.name for contender in result.contenders)}
        words = names.get(column, readable_name(column))
        return with_unit(words, result.unit) if column in numbers else words
    if result.kind == "classification":
        fixed = {TRUTH: "true class", LABEL: "predicted class"}
        if column in fixed:
            return fixed[column]
        if any(column == contender.name for contender in result.contenders):
            of = f"of class {result.labels[1]}" if len(result.labels) == 2 else "of the predicted class"
            return f"{readable_name(column)}: probability {of}"
    return {TRUTH: "true text", OURS: f"answer of {OURS}"}.get(column, readable_name(column))


def _drawings(result: TaskResult, wrong: pd.DataFrame) -> list[Markup]:
    """Draws the molecules that the worst rows contain, with the truth and the answer."""
    columns = [column for column in result.molecules if column in wrong]
    rows: list[list[tuple[str, Sequence[str]]]] = []
    for row in wrong.head(ROWS).to_dict("records"):
        if rows and sum(map(len, rows)) + len(columns) > DRAWN:
            break
        inputs: list[tuple[str, Sequence[str]]] = [
            (str(row[column]), _caption(result, row, column if len(columns) > 1 else ""))
            for column in columns
            if row[column] == row[column]  # an empty cell is NaN
        ]
        rows.append([*inputs, *_answer_drawings(result, row)])
    if result.generated:  # inputs, truth and answer of a row are read together
        return [answer_cards(pairs) for pairs in rows if pairs]
    together = [pair for pairs in rows for pair in pairs]
    return [answer_cards(together)] if together else []


def _answer_drawings(result: TaskResult, row: Mapping[str, object]) -> list[tuple[str, Sequence[str]]]:
    """The molecules of the true text and of the generated one, if the target of this row is written as SMILES."""
    target = str(row[TARGET]) if TARGET in row else next(iter(result.generated), "")
    if target not in result.generated:
        return []
    place = ", ".join(filter(None, [f"row {row['row']}", target]))
    said = [(TRUTH, "true molecule"), (OURS, f"answer of {OURS}")]
    return [(_text(row[name]), [f"{place}: {words}"]) for name, words in said]


def _caption(result: TaskResult, row: Mapping[str, object], column: str) -> Sequence[str]:
    """The lines below a drawing: the row, and the truth and the answer with their unit."""
    unit = f" {result.unit}" if result.unit else ""
    place = ", ".join(filter(None, [f"row {row['row']}", str(row.get(TARGET, "")), column]))
    if result.kind == "regression":
        true, said, error = (short(float(str(row[name]))) for name in (TRUTH, OURS, "error"))
        return [place, f"true {true}{unit}", f"predicted {said}{unit}", f"error {error}{unit}"]
    if result.kind == "classification":
        label = row.get(LABEL, "")
        if LABEL not in row:
            label = result.labels[int(float(str(row[OURS])) >= 0.5)]
        of = result.labels[1] if len(result.labels) == 2 else str(label)
        return [
            place,
            f"true class {_cut(row[TRUTH])}",
            f"predicted {_cut(label)}",
            f"probability of {of}: {short(float(str(row[OURS])))}",
        ]
    if result.generated:  # its truth and its answer are drawn, too
        return [f"row {row['row']}: {column or 'input'}"]
    return [place, f"true: {_cut(row[TRUTH])}", f"answer: {_cut(row[OURS])}"]


def _text(value: object) -> str:
    return "" if value is None or value != value else str(value)


def _cut(value: object) -> str:
    words = _text(value) or "(nothing)"
    return words if len(words) <= CASES else f"{words[: CASES - 1]}…"

"""A table with one line for each held-out row: inputs, true value, predictions, similarity to the training rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mammal.evaluation.results import LABEL, OURS, TARGET, TRUTH
from mammal.tasks.metrics.registry import metric_named
from mammal.tasks.tables.cells import is_missing, is_missing_label

if TYPE_CHECKING:
    import numpy as np

    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task


NAMING_COLUMNS, NAMING_LENGTH = 12, 64
"""Largest number of columns that are added to name rows, and of characters of their cells."""

_INTERNAL = ("\0", "part of an evaluation")
"""Beginnings of names of columns that are not the user's."""


def answer_table(
    task: Task,
    answered: Mapping[str, Sequence[Prediction]],
    rows: Sequence[Row],
    similarity_N: np.ndarray | None = None,
    numbers: Sequence[int] | None = None,
) -> Any:
    """Builds the table of answers.

    Args:
        task: the evaluated task.
        answered: predictions by name of the model or baseline, one for each row.
        rows: the held-out rows.
        similarity_N: similarity of each row to its nearest training row, from 0 to 1; None: no such column.
        numbers: number of each row in its table, counted from 1; None: 1, 2, 3, …

    Returns:
        A data frame with one line for each answered row and target column: `row` (its number), the short columns that
        the task does not read (`naming_columns`), the columns that it reads, `truth` and the predictions. For generated
        text it also contains, in each row, the model's value of every metric that is a mean over rows.
    """
    import pandas as pd

    aliases = task.aliases
    numbers = range(1, len(answered[OURS]) + 1) if numbers is None else numbers
    named = naming_columns(task, rows, taken=answered) if task.columns else {}  # else answers belong to no row
    places, lines = [], []
    for number, prediction in enumerate(answered[OURS]):
        if prediction.error is not None:
            continue
        row = rows[number]
        read = {column: row.get(column, row.get(aliases.get(column, column))) for column in task.columns}
        for target in task.target_columns:
            line = {"row": numbers[number], **{shown: row.get(name) for name, shown in named.items()}, **read}
            places.append(number)
            if len(task.target_columns) > 1:
                line[TARGET] = target
            line[TRUTH] = _truth(task, row.get(target, row.get(aliases.get(target, target))))
            for name, predictions in answered.items():
                line[name] = plotted_value(task, predictions[number], target) if number < len(predictions) else None
            ours = prediction.for_target(target)
            if task.family == "classification":
                line[LABEL] = ours.label
            line |= {} if ours.interval is None else {"low": ours.interval[0], "high": ours.interval[1]}
            lines.append(line | ({} if ours.outside is None else {"outside": int(ours.outside)}))
    frame = pd.DataFrame(lines)
    if similarity_N is not None and len(frame):
        frame["similarity"] = similarity_N[places]
    if task.family == "generation" and len(frame):
        frame = _with_figures(frame, places, task, answered[OURS], rows)
    if task.family == "regression" and len(frame):
        frame[TRUTH] = pd.to_numeric(frame[TRUTH], errors="coerce")
    return frame.dropna(subset=[TRUTH]) if len(frame) and task.family != "generation" else frame


def naming_columns(task: Task, rows: Sequence[Row], *, taken: Collection[str] = ()) -> dict[str, str]:
    """Returns the columns of a table that name its rows: those that the task does not read and whose cells are short.

    Args:
        task: the task.
        rows: the rows.
        taken: names that other columns of the table of answers have, in addition to its own.

    Returns:
        Column of the rows, in their order, at most `NAMING_COLUMNS` -> its name in the table of answers, which is
        another one (`label_of_input`) if that name is taken.
    """
    aliases = task.aliases
    read = {*task.columns, *task.target_columns, *aliases.values(), *task.beside}
    ours = {"row", TARGET, "truth", "label", "low", "high", "similarity", "outside", *taken, *task.config.metrics}
    found: dict[str, str] = {}
    for name in rows[0] if rows else ():
        text = str(name)
        if name in read or text.startswith(_INTERNAL) or len(found) == NAMING_COLUMNS:
            continue
        cells = [value for row in rows if not is_missing(value := row.get(name))]
        if cells and max(len(str(value)) for value in cells) <= NAMING_LENGTH:
            found[name] = f"{text}_of_input" if text in ours else text
    return found


def _truth(task: Task, cell: Any) -> Any:
    """The cell; None where it has a word that means missing, and no label of the task."""
    from mammal.tasks.kinds.classification import ClassificationTask
    from mammal.tasks.kinds.token_classification import TokenClassificationTask
    from mammal.tasks.targets.token_labels import read_or_none

    if isinstance(task, TokenClassificationTask):
        classes_R = read_or_none(task.token_labels, cell, TRUTH)
        return None if classes_R is None else task.token_labels.write(classes_R)
    unlabelled = isinstance(task, ClassificationTask) and is_missing_label(cell) and task.labels.find(cell) is None
    return None if unlabelled else cell


def plotted_value(task: Task, prediction: Prediction, target: str) -> Any:
    """The part of an answer that plots show: the value, the probability, or the generated text."""
    if prediction.error is not None:
        return None
    answer = prediction.for_target(target)
    if target in task.number_targets:
        return answer.value
    if task.family == "token_classification":
        return answer.label
    return answer.probability if task.family == "classification" else answer.text


def _with_figures(
    frame: Any, of_lines: Sequence[int], task: Task, ours: Sequence[Prediction], rows: Sequence[Row]
) -> Any:
    """Adds a column for each metric that has a value per row: NaN if a row has none, no column if no row has one."""
    targets = frame[TARGET] if TARGET in frame else [task.target_columns[0]] * len(frame)
    places = list(zip(of_lines, targets, strict=True))
    every = task.answers(ours, list(rows)[: len(ours)])
    for name in task.config.metrics:
        metric = metric_named(name)
        found: dict[tuple[int, str], float] = {}
        for target, answers in every.items():
            if metric.by_row is not None and answers.holds == metric.reads:
                figures_N = metric.by_row(answers).tolist()
                found |= {(row, target): f for row, f in zip(answers.numbers_N.tolist(), figures_N, strict=True)}
        if name not in frame and any(value == value for value in found.values()):  # NaN differs from itself
            frame[name] = [found.get(place, float("nan")) for place in places]
    return frame

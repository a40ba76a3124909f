"""The labels of a task as arrays, and the faults that need no other row: unreadable, empty and unknown labels, classes.

Shapes: N rows, K target columns.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mammal.data_check.findings import ERROR, NOTE, WARNING, Finding, FlaggedRow, counted, percent
from mammal.errors import DataError, MammalError
from mammal.tasks.kinds.classification import ClassificationTask
from mammal.tasks.kinds.regression import RegressionTask
from mammal.tasks.kinds.token_classification import TokenClassificationTask
from mammal.tasks.tables.cells import as_number, as_text, is_missing_label
from mammal.tasks.targets.censored import EXACT, bounded_number

if TYPE_CHECKING:
    from mammal.data_check.checked_data import CheckedData

RARE_SHARE, RARE_ROWS = 0.05, 10
"""A class is rare below this share of the labels, or below this number of training rows."""
MANY_UNREADABLE = 0.1
"""Share of unreadable rows from which they are an error: the table is then probably not what the task reads."""


@dataclass(frozen=True)
class Labels:
    """Labels of every row.

    Attributes:
        columns: target columns, in the order of axis K.
        classes: labels of the task; empty for numbers.
        index_NK: position of each label in `classes`, int64 [N, K]; -1 if it is missing or unknown, or for numbers.
        number_NK: each number, float64 [N, K]; NaN if it is missing, not a number or only a bound, or for classes.
        empty_NK: whether a cell is empty, bool [N, K].
        faults: (row, position of the column) -> why the cell is not a label of the task.
    """

    columns: Sequence[str]
    classes: Sequence[str]
    index_NK: np.ndarray
    number_NK: np.ndarray
    empty_NK: np.ndarray
    faults: Mapping[tuple[int, int], str]

    @property
    def known_NK(self) -> np.ndarray:
        """Whether a cell has a label or an exact number, bool [N, K]."""
        return (self.index_NK >= 0) | ~np.isnan(self.number_NK)


def read_labels(data: CheckedData) -> Labels | None:
    """Reads the labels of a classification or regression task. Other kinds of task have none: None."""
    task = data.task
    if not isinstance(task, ClassificationTask | RegressionTask):
        return None
    shape = (len(data), len(task.target_columns))
    index_NK, number_NK = np.full(shape, -1, dtype=np.int64), np.full(shape, np.nan)
    empty_NK, faults = np.zeros(shape, dtype=bool), {}
    for n, row in enumerate(data.rows):
        for k, column in enumerate(task.target_columns):
            value = row.get(column)
            if is_missing_label(value) and not (isinstance(task, ClassificationTask) and _is_class(task, value)):
                empty_NK[n, k] = column in data.frame
                continue
            try:
                if isinstance(task, ClassificationTask):
                    index_NK[n, k] = task.labels.index(value, column)
                else:
                    number_NK[n, k] = _number(value, column, task.config.censored)
            except DataError as error:
                faults[n, k] = str(error)
    classes = task.labels.labels if isinstance(task, ClassificationTask) else ()
    return Labels(task.target_columns, classes, index_NK, number_NK, empty_NK, faults)


def _number(value: object, column: str, censored: str) -> float:
    """A number as training reads it; NaN for a bound that training treats as one."""
    if censored == "refuse":
        return as_number(value, column)
    number, bound = bounded_number(value, column)
    return np.nan if bound != EXACT and censored == "one_sided" else number


def _is_class(task: ClassificationTask, value: object) -> bool:
    return value is not None and task.labels.find(value) is not None


_QUOTED = re.compile(r"# \d+ \w+, \d+|'[^']*'|\"[^\"]*\"|\d[\d,.]*")


def reason_group(reason: str) -> str:
    """The part of a reason that rows have in common: without the cell, positions and numbers."""
    first = reason.splitlines()[0].partition(" (")[0].partition("; ")[0]
    return _QUOTED.sub("…", first)[:120]


def _by_reason(data: CheckedData, reasons: Mapping[int, str]) -> dict[str, list[FlaggedRow]]:
    """Rows by what their reasons have in common."""
    groups = defaultdict(list)
    for row, reason in reasons.items():
        groups[reason_group(reason)].append(FlaggedRow(row, reason, data.shown(row)))
    return groups


def unreadable_rows(data: CheckedData) -> Iterator[Finding]:
    """Rows whose input can't be read, one finding for each reason."""
    severity = ERROR if len(data.unreadable) > MANY_UNREADABLE * len(data) else WARNING
    for group, rows in _by_reason(data, data.unreadable).items():
        share = percent(len(rows) / len(data))
        yield Finding(
            "unreadable",
            severity,
            len(rows),
            f"{counted(len(rows), 'row')} ({share}) can't be read: {group}",
            "Training, evaluation and baselines leave these rows out.",
            "correct the cells, or remove the rows",
            rows=rows,
        )


def token_label_faults(data: CheckedData, failed: Container[int]) -> Iterator[Finding]:
    """Rows whose labels of tokens can't be read or don't fit the sequence, one finding for each reason.

    Other kinds of task have none.

    Args:
        data: the rows.
        failed: rows that can't be encoded, which are reported anyway.
    """
    task = data.task
    if not isinstance(task, TokenClassificationTask):
        return
    reasons = {}
    for n, row in enumerate(data.rows):
        if n in data.unreadable or n in failed:
            continue
        try:
            task.classes(row)
        except MammalError as error:
            reasons[n] = str(error)
    for group, rows in _by_reason(data, reasons).items():
        share = len(rows) / len(data)
        yield Finding(
            "token_labels",
            ERROR if share > MANY_UNREADABLE else WARNING,
            len(rows),
            f"{counted(len(rows), 'row')} ({percent(share)}) without labels that fit: {group}",
            "Training and evaluation leave these rows out.",
            "correct the labels, or remove the rows",
            task.target_column,
            rows,
        )


def label_faults(data: CheckedData, labels: Labels) -> Iterator[Finding]:
    """Cells that are not a label of the task, empty labels, and the counts of classes or the spread of numbers."""
    for k, column in enumerate(labels.columns):
        yield from _unknown(data, labels, k, column)
        empty = np.flatnonzero(labels.empty_NK[:, k])
        if len(empty):
            share = percent(len(empty) / len(data))
            yield Finding(
                "empty_label",
                NOTE if len(labels.columns) > 1 else WARNING,
                len(empty),
                f"{counted(len(empty), 'row')} ({share}) without a label in {column}",
                "These rows are not used for this target.",
                "remove the rows, or add the label",
                column,
                [FlaggedRow(int(row), "empty", data.shown(int(row))) for row in empty],
            )
        if labels.classes:
            yield from _classes(data, labels, k, column)
        else:
            yield from _constant_number(data, labels, k, column)


def _unknown(data: CheckedData, labels: Labels, k: int, column: str) -> Iterator[Finding]:
    """Cells that are not labels of the task, or not numbers."""
    bad = [(row, why) for (row, at), why in labels.faults.items() if at == k]
    if not bad:
        return
    texts = Counter(as_text(data.rows[row].get(column)) for row, _ in bad)
    shown = ", ".join(f"{text!r} ({count:,})" for text, count in texts.most_common(5))
    rows = [FlaggedRow(row, why, data.shown(row)) for row, why in bad]
    what = f"{counted(len(bad), 'cell')} of {column} can't be read as a "
    if labels.classes:
        yield Finding(
            "unknown_label",
            ERROR,
            len(bad),
            f"{what}label: {shown}; the classes are {', '.join(labels.classes)}",
            "Training leaves these rows out.",
            "correct the spelling in the table, or add the class to `labels`",
            column,
            rows,
        )
    else:
        yield Finding(
            "not_a_number",
            ERROR if len(bad) > MANY_UNREADABLE * len(data) else WARNING,
            len(bad),
            f"{what}number: {shown}",
            "Training leaves these rows out.",
            "write plain numbers; for bounds such as >10 set `censored: one_sided`",
            column,
            rows,
        )


def _classes(data: CheckedData, labels: Labels, k: int, column: str) -> Iterator[Finding]:
    train_N = data.part_N == "train"
    index_N = labels.index_NK[:, k]
    counts = {label: int((index_N[train_N] == i).sum()) for i, label in enumerate(labels.classes)}
    total = sum(counts.values())
    if not total:
        return
    shown = ", ".join(f"{label}: {count:,}" for label, count in counts.items())
    present = [label for label, count in counts.items() if count]
    if len(present) < 2:
        yield _one_value(column, f"every label of {column} in the training rows is {present[0]!r}")
        return
    absent = [label for label, count in counts.items() if not count]
    if absent:
        yield Finding(
            "absent_class",
            ERROR,
            len(absent),
            f"no training row of {column} has {', '.join(absent)}; counts: {shown}",
            "Training refuses a task whose training rows lack a class.",
            "remove the class from `labels`, or split with `stratify: true`",
            column,
        )
    rare = {c: n for c, n in counts.items() if n > 0 and (n < RARE_SHARE * total or n < RARE_ROWS)}
    if rare:
        few = min(rare.values()) < RARE_ROWS
        yield Finding(
            "rare_class",
            WARNING if few else NOTE,
            len(rare),
            f"{counted(len(rare), 'class')} of {column} with few training rows; counts: {shown}",
            "A model can ignore a rare class and still have a high accuracy.",
            "look at auprc and mcc; `class_weights: balanced` gives the class more weight, `stratify: true` keeps it "
            "in each part",
            column,
            figures={f"rows of {label}": count for label, count in counts.items()},
        )


def _constant_number(data: CheckedData, labels: Labels, k: int, column: str) -> Iterator[Finding]:
    number_N = labels.number_NK[(data.part_N == "train") & ~np.isnan(labels.number_NK[:, k]), k]
    if len(number_N) and np.ptp(number_N) == 0:
        yield _one_value(column, f"every number of {column} in the training rows is {number_N[0]:g}")
        return
    if len(number_N) < 20:
        return
    values, counts = np.unique(number_N, return_counts=True)
    most = int(counts.argmax())
    if counts[most] > 0.3 * len(number_N):
        share = percent(counts[most] / len(number_N))
        at_the_end = "the end of the range" if most in (0, len(values) - 1) else "inside the range"
        yield Finding(
            "frequent_number",
            NOTE,
            int(counts[most]),
            f"{share} of the training rows have the same {column}: {values[most]:g}, {at_the_end}",
            "A value at the end of an assay's range is often a bound. A squared error then rewards predicting it.",
            "if it is a bound, write >VALUE or <VALUE and set `censored: one_sided`",
            column,
            figures={"value": float(values[most])},
        )


def _one_value(column: str, what: str) -> Finding:
    return Finding(
        "constant_target",
        ERROR,
        1,
        what,
        "There is nothing to learn; training stops with an error.",
        "check the column, the split and `labels`",
        column,
    )


def encoding_faults(data: CheckedData, failed: Mapping[int, str]) -> Iterator[Finding]:
    """Rows whose input can be read but not written as tokens, one finding for each reason."""
    for group, rows in _by_reason(data, failed).items():
        yield Finding(
            "not_encodable",
            WARNING,
            len(rows),
            f"{counted(len(rows), 'row')} can't be written as tokens: {group}",
            "Training and prediction leave these rows out.",
            "correct the cells, or remove the rows",
            rows=rows,
        )

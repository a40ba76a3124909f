"""Splits that assign each row independently of its content: given, by fold, at random, by time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import UTC, datetime
from math import isfinite

import numpy as np

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.splits.split import PARTS, SPLIT_COLUMN, Split, cuts, none_empty, parts_of
from mammal.tasks.splits.table import Table
from mammal.tasks.tables.cells import as_text, is_missing_label
from mammal.tasks.targets.labels import numeric_text
from mammal.tokenization.errors import did_you_mean

_COLUMN_SPELLINGS = ("split", "splits", "set", "subset", "partition", "part", "dataset_split", "data_split", "stage")
_SPELLINGS = {"train": "train", "training": "train", "trn": "train", "tr": "train"}
_SPELLINGS |= {"valid": "valid", "validation": "valid", "validate": "valid", "val": "valid", "dev": "valid"}
_SPELLINGS |= {"test": "test", "testing": "test", "tst": "test", "te": "test"}

STRATA = 10
"""Number of ranges of equal count into which numeric labels are divided for stratification."""


def given(table: Table) -> Split:
    """Splits by a column that names the part of each row; rows with an empty cell are left out.

    Raises:
        DataError: the column is missing, or a cell is not the name of a part.
    """
    column = table.data.split_column or _split_column(table)
    said = table.texts(column)
    homes = [_SPELLINGS.get(text.lower()) for text in said]
    for row, (text, home) in enumerate(zip(said, homes, strict=True)):
        if text and home is None:
            what = f"column {column!r} has {text!r}, which is not a part of a split"
            hint = f"train, valid or test; for fold numbers: task.data.split=fold task.data.split_column={column}"
            raise DataError(what, where=f"row {row + 1}", hint=hint)
    left_out = [(row, f"column {column!r} is empty") for row, text in enumerate(said) if not text]
    split = Split(f"given by {column}", parts_of(homes), left_out)
    return _with_valid(split, table) if table.data.valid_share and not len(split.parts["valid"]) else split


def _split_column(table: Table) -> str:
    """The first column with a usual name of a split column and only names of parts in it; else `SPLIT_COLUMN`."""
    names = {str(column).strip().lower().replace(" ", "_"): str(column) for column in table.frame.columns}
    if SPLIT_COLUMN in table.frame.columns:
        return SPLIT_COLUMN
    for name in _COLUMN_SPELLINGS:
        column = names.get(name)
        if column is not None and {text.lower() for text in table.texts(column)} <= {*_SPELLINGS, ""}:
            return column
    return SPLIT_COLUMN


def _with_valid(split: Split, table: Table) -> Split:
    """Moves a seeded share of the training rows to valid, for published splits without a validation part.

    Rows with equal inputs stay together, so that none of them leaks.
    """
    train, data = split.parts["train"], table.data
    seen: dict[Hashable, int] = {}
    inputs = [table.inputs[row] for row in train.tolist()] if len(table.inputs) else train.tolist()
    number_N = np.array([seen.setdefault(what, len(seen)) for what in inputs], dtype=np.int64)
    order = np.random.default_rng(data.split_seed).permutation(len(seen))
    count, _ = cuts(len(seen), [data.valid_share, 1 - data.valid_share, 0])
    drawn_N = np.isin(number_N, order[:count])
    parts = {**split.parts, "train": train[~drawn_N], "valid": train[drawn_N]}
    how = f"{split.how}, {data.valid_share:g} of train as valid, seed {data.split_seed}"
    return Split(how, parts, split.left_out)


def fold(table: Table) -> Split:
    """Splits by folds: one fold is test, one is valid, all others are train.

    Raises:
        TaskError: a named fold does not exist, or test and valid are the same fold.
        DataError: fewer than two folds.
    """
    data = table.data
    said, how = _folds(table)
    names = sorted(set(said) - {""}, key=_in_order)
    if len(names) < 2:
        raise DataError(f"{how}: {len(names)} fold, of which no two parts can be made", hint="task.data.folds=5")
    test = _named_fold(data.fold, names, "data.fold") or names[-1]
    before = names[names.index(test) - 1] if len(names) > 2 else None
    valid = _named_fold(data.valid_fold, names, "data.valid_fold") or before
    if valid == test:
        raise TaskError(f"fold {test} is both test and valid", hint="task.data.valid_fold names another one")
    homes = [None if not name else {test: "test", valid: "valid"}.get(name, "train") for name in said]
    left_out = [(row, f"column {data.split_column!r} is empty") for row, name in enumerate(said) if not name]
    return Split(f"{how}: test {test}, valid {valid or 'none'}", parts_of(homes), left_out)


def _folds(table: Table) -> tuple[list[str], str]:
    """The fold of each row: from the split column if one is named, else seeded folds of equal size, numbered from 0."""
    data = table.data
    if data.split_column:
        return [_plain(text) for text in table.texts(data.split_column)], f"folds of {data.split_column}"
    if not 2 <= data.folds <= len(table):
        raise TaskError(f"data.folds is {data.folds}, and there are {len(table)} rows")
    said = np.empty(len(table), dtype=object)
    for number, rows in enumerate(np.array_split(_order(table), data.folds)):
        said[rows] = str(number)
    return said.tolist(), f"{data.folds} {_shuffled(table)} folds"


def _named_fold(asked: str | None, names: Sequence[str], key: str) -> str | None:
    if asked is None or _plain(asked) in names:
        return None if asked is None else _plain(asked)
    raise TaskError(f"there is no fold {asked!r}", where=key, hint=did_you_mean(asked, names, noun="fold"))


def _plain(name: str) -> str:
    """The name of a fold; numbers without the `.0` that tables add."""
    number = _number(name)
    return name if number is None else as_text(number)


def _in_order(name: str) -> tuple[bool, float, str]:
    """Sort key of fold names: numbers by size, then words."""
    number = _number(name)
    return (number is None, number or 0.0, name)


def random(table: Table) -> Split:
    """Splits by a seeded shuffle; with `data.stratify` every class has about the same share of each part."""
    pieces = zip(PARTS, np.split(_order(table), cuts(len(table), table.data.fractions)), strict=True)
    return Split(_shuffled(table), {part: np.sort(piece) for part, piece in pieces})


def _shuffled(table: Table) -> str:
    stratified = f" by {', '.join(table.targets)}" if table.data.stratify else ""
    return f"random{stratified}, seed {table.data.split_seed}"


def _order(table: Table) -> np.ndarray:
    """Row numbers in seeded random order.

    Stratified: the rows of each class are spread evenly over the order, from a random start. So wherever the order is
    cut, the number of rows of a class in a piece differs from its share by at most one row.
    """
    rng = np.random.default_rng(table.data.split_seed)
    order = rng.permutation(len(table))
    if not table.data.stratify:
        return order
    if not table.targets:
        raise TaskError("data.stratify needs a column of labels", hint="prompt.target names it")
    classes = list(zip(*(_strata(_spelled(table.texts(column))) for column in table.targets), strict=True))
    members: dict[tuple[str, ...], list[int]] = {}
    for row in order.tolist():
        members.setdefault(classes[row], []).append(row)
    places = np.empty(len(table))
    for rows in members.values():
        places[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return order[np.argsort(places[order], kind="stable")]


def _spelled(texts: Sequence[str]) -> list[str]:
    """One spelling for each number, "" for a word that means missing."""
    return ["" if is_missing_label(text) else numeric_text(text) for text in texts]


def _strata(texts: Sequence[str]) -> list[str]:
    """Stratum of each label: the label itself; for many different numbers, the number of a range of equal count."""
    numbers = [_number(text) for text in texts]
    known = [row for row, number in enumerate(numbers) if number is not None]
    if len({numbers[row] for row in known}) <= 2 * STRATA or len(known) < sum(map(bool, texts)):
        return list(texts)
    strata = [""] * len(texts)
    for rank, row in enumerate(sorted(known, key=lambda row: (numbers[row], row))):
        strata[row] = str(rank * STRATA // len(known))
    return strata


def time(table: Table) -> Split:
    """Splits by a column of numbers (years) or ISO dates, with the oldest rows in train; equal times stay together.

    Raises:
        TaskError: no column is named.
        DataError: a cell is neither a number nor an ISO date.
    """
    column = table.data.split_column
    if column is None:
        raise TaskError("a time split needs a column", hint="task.data.split_column=year")
    texts = table.texts(column)
    known = np.array([row for row, text in enumerate(texts) if text], dtype=np.int64)
    times = _times([texts[row] for row in known.tolist()], known, column)
    order = np.argsort(times, kind="stable")
    changes = np.flatnonzero(np.diff(times[order])) + 1
    ends = np.array([0, *changes.tolist(), len(order)])
    train_end, valid_end = (int(np.abs(ends - cut).argmin()) for cut in cuts(len(order), table.data.fractions))
    places = none_empty(train_end, valid_end, len(ends) - 1, table.data.fractions)
    pieces = np.split(known[order], [int(ends[place]) for place in places])
    left_out = [(row, f"column {column!r} is empty") for row, text in enumerate(texts) if not text]
    parts = {part: np.sort(piece) for part, piece in zip(PARTS, pieces, strict=True)}
    return Split(f"time by {column}", parts, left_out)


def _times(texts: Sequence[str], rows: np.ndarray, column: str) -> np.ndarray:
    """Times of the rows, float64 [N]: numbers, or seconds since 1970 for ISO dates. All rows must be of one kind."""
    numbers = [_number(text) for text in texts]
    if None not in numbers:
        return np.array(numbers, dtype=np.float64)
    found = [_seconds(text) for text in texts]
    if None in found:
        place = found.index(None)
        what = f"column {column!r} has {texts[place]!r}, which is not an ISO date"
        raise DataError(
            what, where=f"row {int(rows[place]) + 1}", hint="numbers (2019) in every row, or dates: 2019-03-31"
        )
    return np.array(found, dtype=np.float64)


def _seconds(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None

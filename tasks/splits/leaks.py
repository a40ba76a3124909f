"""Leaks of a split: valid and test rows that also occur in train, repeated inputs, and inputs with several labels.

Molecules are compared by their normalised SMILES, everything else by its exact text. With `ordered=False` a pair of two
entities of one kind, such as two proteins that may bind, is the same pair in either order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from mammal.tasks.molecules.policy import Standard
from mammal.tasks.splits.split import Split
from mammal.tasks.splits.table import column_texts, molecule_keys

if TYPE_CHECKING:
    import pandas as pd

HELD_OUT = ("test", "valid")

Keys = Mapping[str, Sequence[str]]
"""Column -> for each row, the text by which its cell is compared."""


def input_keys(
    frame: pd.DataFrame, columns: Sequence[str], molecules: Sequence[str], standard: Standard = "normalised"
) -> dict[str, list[str]]:
    """Returns the texts by which the cells of input columns are compared.

    Args:
        frame: the table.
        columns: the input columns.
        molecules: columns with SMILES, which are compared in normalised form.
        standard: how the task standardises molecules. With a policy, they are compared as the model reads them.
    """
    texts = {column: column_texts(frame, column) for column in columns}
    return {c: molecule_keys(found, standard) if c in molecules else found for c, found in texts.items()}


def leakage(frame: pd.DataFrame, split: Split, columns: Sequence[str], molecules: Sequence[str]) -> dict[str, int]:
    """Counts the test and valid rows that also occur in train, by exact sequence or normalised molecule.

    Args:
        frame: the table.
        split: its split.
        columns: the input columns.
        molecules: columns with SMILES.

    Returns:
        `test` and `valid`: rows whose inputs all equal those of a training row; `test/column`: rows whose value of
        that one column occurs in train (with more than one input column).
    """
    return count_leaks(input_keys(frame, columns, molecules), split)


def count_leaks(keys: Keys, split: Split, *, ordered: bool = True) -> dict[str, int]:
    """As `leakage`, from the keys that `input_keys` returns.

    Args:
        keys: the keys.
        split: the split.
        ordered: False: a pair of two entities is the same pair in either order.
    """
    found = {}
    for part in HELD_OUT:
        if keys:
            found[part] = len(_shared(whole_inputs(keys, ordered=ordered), split, part))
        if len(keys) > 1:
            found |= {f"{part}/{column}": len(_shared(values, split, part)) for column, values in keys.items()}
    return found


def count_known(keys: Keys, split: Split) -> dict[str, int]:
    """Counts the test and valid rows whose label also occurs in train, even if the inputs differ.

    Returns:
        `test/column` and `valid/column` -> number of rows.
    """
    return {
        f"{part}/{column}": len(_shared(values, split, part)) for part in HELD_OUT for column, values in keys.items()
    }


def without_leaks(keys: Keys, split: Split, *, ordered: bool = True) -> Split:
    """Returns the split without the valid and test rows whose inputs all equal those of a training row."""
    if not keys:
        return split
    whole = whole_inputs(keys, ordered=ordered)
    shared = {row: known for part in HELD_OUT for row, known in _shared(whole, split, part).items()}
    reasons = {row: f"leak: the inputs of training row {known + 1}" for row, known in shared.items()}
    return split.without(reasons, f"{split.how}, {len(reasons)} leaking rows left out") if reasons else split


def repeated_rows(inputs: Sequence[Hashable], labels: Keys) -> dict[int, int]:
    """Rows whose inputs and labels equal those of an earlier row -> the first such row.

    Args:
        inputs: all inputs of each row as one key (`whole_inputs`).
        labels: target column -> text of each row's label.
    """
    first: dict[Hashable, int] = {}
    found = {}
    for row, what in enumerate(inputs):
        earlier = first.setdefault((what, _labels(labels, row)), row)
        if earlier != row:
            found[row] = earlier
    return found


def count_repeats(keys: Keys, labels: Keys, split: Split, *, ordered: bool = True) -> dict[str, int]:
    """Counts repeated rows, and inputs with conflicting labels.

    Args:
        keys: input column -> the text by which each row's cell is compared.
        labels: target column -> text of each row's label, "" for a row without label.
        split: the split.
        ordered: False: a pair of two entities is the same pair in either order.

    Returns:
        `repeated`: rows whose inputs and labels equal those of an earlier row, of any part; `conflicting`: number of
        distinct inputs with more than one label in a column; `conflicting_across_parts`: those of them that occur in
        several parts. All are 0 for a prompt that reads no column, because its inputs are the same for every row.
    """
    if not keys:
        return {"repeated": 0, "conflicting": 0, "conflicting_across_parts": 0}
    inputs = whole_inputs(keys, ordered=ordered)
    homes = {row: part for part, rows in split.parts.items() for row in rows.tolist()}
    counts = Counter(inputs[row] for row in homes)
    same_inputs: dict[Hashable, list[int]] = {}
    for row in homes:
        if counts[inputs[row]] > 1:
            same_inputs.setdefault(inputs[row], []).append(row)
    repeated = sum(len(rows) - len({_labels(labels, row) for row in rows}) for rows in same_inputs.values())
    conflicting = [rows for rows in same_inputs.values() if _disagree(labels, rows)]
    across = sum(len({homes[row] for row in rows}) > 1 for rows in conflicting)
    return {"repeated": repeated, "conflicting": len(conflicting), "conflicting_across_parts": across}


def _labels(labels: Keys, row: int) -> tuple[str, ...]:
    return tuple(texts[row] for texts in labels.values())


def _disagree(labels: Keys, rows: Sequence[int]) -> bool:
    """Whether these rows have different labels in a target column; empty cells don't count."""
    return any(len({texts[row] for row in rows} - {""}) > 1 for texts in labels.values())


def whole_inputs(keys: Keys, *, ordered: bool = True) -> list[Hashable]:
    """Returns all inputs of each row as one key; arguments as for `count_leaks`."""
    rows = zip(*keys.values(), strict=True)
    return list(rows) if ordered else [tuple(sorted(cells)) for cells in rows]


def _shared(values: Sequence[Hashable], split: Split, part: str) -> dict[int, int]:
    """Rows of a part whose value also occurs in train -> the first training row with that value."""
    train: dict[Hashable, int] = {}
    for row in split.parts["train"].tolist():
        train.setdefault(values[row], row)
    return {row: train[values[row]] for row in split.parts[part].tolist() if values[row] in train}

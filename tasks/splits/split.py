"""The class of a split into train, valid and test, its hash, and the conversion of shares to row counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

PARTS = ("train", "valid", "test")

SPLIT_COLUMN = "split"
"""Column with the part of each row, unless a task names another."""


@dataclass(frozen=True)
class Split:
    """Row numbers of each part.

    Attributes:
        how: how the split was made, with its settings.
        parts: `train`, `valid` and `test` -> ascending row numbers, int64.
        left_out: row numbers that are in no part, with the reason.
    """

    how: str
    parts: dict[str, np.ndarray]
    left_out: list[tuple[int, str]] = field(default_factory=list)

    @property
    def hash(self) -> str:
        """The sha256 of the row numbers of the parts: two runs with equal hashes used the same rows of a table."""
        digest = hashlib.sha256()
        for part in PARTS:
            digest.update(part.encode() + self.parts[part].astype("<i8").tobytes())
        return digest.hexdigest()

    def without(self, reasons: Mapping[int, str], how: str) -> Split:
        """Returns the same split with some rows left out.

        Args:
            reasons: row number -> reason why the row is left out.
            how: description of the new split.
        """
        gone = np.array(sorted(reasons), dtype=np.int64)
        parts = {part: np.setdiff1d(rows, gone, assume_unique=True) for part, rows in self.parts.items()}
        return Split(how, parts, [*self.left_out, *((row, reasons[row]) for row in gone.tolist())])


def parts_of(homes: Sequence[str | None]) -> dict[str, np.ndarray]:
    """Returns the row numbers of each part, ascending int64, from the part of each row (None: in no part)."""
    said = np.array(homes, dtype=object)
    return {part: np.flatnonzero(said == part) for part in PARTS}


def fill(groups: Sequence[Sequence[int]], rows: int, fractions: Sequence[float]) -> dict[str, np.ndarray]:
    """Places groups in order: in train if they fit into its share, else in valid, else in test (deepchem's rule).

    Args:
        groups: row numbers of each group.
        rows: number of all rows.
        fractions: shares of train, valid and test.

    Returns:
        Part -> its row numbers, ascending int64.
    """
    train_end, valid_end = fractions[0] * rows, (fractions[0] + fractions[1]) * rows
    train: list[int] = []
    valid: list[int] = []
    test: list[int] = []
    for group in groups:
        if len(train) + len(group) <= train_end:
            train += group
        elif len(train) + len(valid) + len(group) <= valid_end:
            valid += group
        else:
            test += group
    return {
        part: np.sort(np.array(rows, dtype=np.int64)) for part, rows in zip(PARTS, (train, valid, test), strict=True)
    }


def cuts(count: int, fractions: Sequence[float]) -> tuple[int, int]:
    """Returns the positions at which train and valid end among `count` ordered items; `fractions` as for `fill`."""
    ends = round(fractions[0] * count), round((fractions[0] + fractions[1]) * count)
    return none_empty(*ends, count, fractions)


def none_empty(train_end: int, valid_end: int, count: int, fractions: Sequence[float]) -> tuple[int, int]:
    """Moves two cuts so that each part with a share gets at least one of `count` items.

    If there are too few items, test gets the first and train the second.
    """
    valid_end = max(0, min(valid_end, count - (fractions[2] > 0)))
    train_end = min(train_end, valid_end - (fractions[1] > 0))
    train_end = max(train_end, int(fractions[0] > 0 and valid_end > 0))
    return train_end, max(train_end, valid_end)

"""A division of a table into train, valid and test, its hash, and how shares become row counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

PARTS = ("train", "valid", "test")

SPLIT_COLUMN = "split"
"""Column that says the part of each row, unless a task names another."""


@dataclass(frozen=True)
class Split:
    """Row numbers of each part.

    Attributes:
        how: the way it was made, with its settings.
        parts: `train`, `valid` and `test` -> ascending row numbers, int64.
        left_out: rows in no part, with the reason.
    """

    how: str
    parts: dict[str, np.ndarray]
    left_out: list[tuple[int, str]] = field(default_factory=list)

    @property
    def hash(self) -> str:
        """sha256 over the row numbers of the parts: two runs with equal hashes judged the same rows of a table."""
        digest = hashlib.sha256()
        for part in PARTS:
            digest.update(part.encode() + self.parts[part].astype("<i8").tobytes())
        return digest.hexdigest()

    def without(self, reasons: Mapping[int, str], how: str) -> Split:
        """The same split with these rows left out, each for its reason."""
        gone = np.array(sorted(reasons), dtype=np.int64)
        parts = {part: np.setdiff1d(rows, gone, assume_unique=True) for part, rows in self.parts.items()}
        return Split(how, parts, [*self.left_out, *((row, reasons[row]) for row in gone.tolist())])


def parts_of(homes: Sequence[str | None]) -> dict[str, np.ndarray]:
    """Row numbers by part, from the part of each row; None is in none."""
    said = np.array(homes, dtype=object)
    return {part: np.flatnonzero(said == part) for part in PARTS}


def fill(groups: Sequence[Sequence[int]], rows: int, fractions: Sequence[float]) -> dict[str, np.ndarray]:
    """Groups in order to train while they fit its share, then to valid, the rest to test (deepchem's rule)."""
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
    """Where train and valid end among `count` things in order."""
    ends = round(fractions[0] * count), round((fractions[0] + fractions[1]) * count)
    return none_empty(*ends, count, fractions)


def none_empty(train_end: int, valid_end: int, count: int, fractions: Sequence[float]) -> tuple[int, int]:
    """Two cuts, moved so that each part with a share gets at least one of `count` things, test and train first."""
    valid_end = max(0, min(valid_end, count - (fractions[2] > 0)))
    train_end = min(train_end, valid_end - (fractions[1] > 0))
    train_end = max(train_end, int(fractions[0] > 0 and valid_end > 0))
    return train_end, max(train_end, valid_end)

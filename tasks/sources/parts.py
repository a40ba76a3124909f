"""What sources of published sets share: a validation part and folds where none are published, and quick looks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.splits.split import SPLIT_COLUMN
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

VALID_SHARE = 0.1
"""Share of the training rows that becomes valid where only train and test are published."""

FOLD_COLUMN = "fold"


def known_name(name: str | None, names: Iterable[str], source: str) -> str:
    """`data.name`, if the source has such a set.

    Raises:
        TaskError: it has none; the hint gives the nearest.
    """
    every = list(names)
    if name not in every:
        hint = did_you_mean(str(name), every, noun="data set")
        raise TaskError(f"{source} has no data set {name!r}", hint=hint)
    return str(name)


def read_plain(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A tab-separated file without a header; cells stay text as written.

    Raises:
        DataError: it has another number of columns.
    """
    import pandas as pd

    frame = pd.read_csv(file, sep="\t", header=None, dtype=str, keep_default_na=False, encoding="utf-8")
    if frame.shape[1] != len(columns):
        raise DataError(f"{frame.shape[1]} columns in place of {len(columns)}", where=str(file))
    return frame.set_axis(list(columns), axis=1)


def with_valid(frame: pd.DataFrame, keys: Sequence[str], seed: int) -> pd.DataFrame:
    """Makes a seeded tenth of the training rows valid; rows with the same key stay together.

    Args:
        frame: has a column `split`.
        keys: one for each row, such as its sequence.
    """
    said = frame[SPLIT_COLUMN].to_numpy(dtype=object, copy=True)
    train = np.flatnonzero(said == "train")
    numbers = _numbered([keys[row] for row in train.tolist()])
    distinct = int(numbers.max(initial=-1)) + 1
    drawn = np.random.default_rng(seed).permutation(distinct)[: round(VALID_SHARE * distinct)]
    said[train[np.isin(numbers, drawn)]] = "valid"
    return frame.assign(**{SPLIT_COLUMN: said})


def with_folds(frame: pd.DataFrame, keys: Sequence[str], folds: int, seed: int) -> pd.DataFrame:
    """Adds a column `fold`, from 0, in which keys are dealt at random; rows with the same key share a fold."""
    numbers = _numbered(keys)
    order = np.random.default_rng(seed).permutation(int(numbers.max(initial=-1)) + 1)
    return frame.assign(**{FOLD_COLUMN: (order % folds)[numbers]})


def limited(frame: pd.DataFrame, limit: int | None) -> pd.DataFrame:
    """`limit` rows at equal distances, so that every part, fold and class of some size keeps its share."""
    if limit is None or limit >= len(frame):
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, limit).round().astype(int)].reset_index(drop=True)


def _numbered(keys: Sequence[str]) -> np.ndarray:
    """Each key's number in order of first appearance, int64 [N]."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)

"""Functions shared by sources of published sets: names, validation parts, folds, and limits on the number of rows."""

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
"""Share of the training rows that becomes valid if only train and test are published."""

FOLD_COLUMN = "fold"


def known_name(name: str | None, names: Iterable[str], source: str) -> str:
    """Returns `data.name` if the source has such a set.

    Args:
        name: the declared name.
        names: names of the sets of the source.
        source: name of the source, for the error message.

    Raises:
        TaskError: the source has no such set; the hint gives the nearest name.
    """
    every = list(names)
    if name not in every:
        hint = did_you_mean(str(name), every, noun="data set")
        raise TaskError(f"{source} has no data set {name!r}", hint=hint)
    return str(name)


def read_plain(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Reads a tab-separated file without a header; cells stay text as written.

    Args:
        file: the file.
        columns: names for its columns.

    Raises:
        DataError: the file has another number of columns.
    """
    import pandas as pd

    frame = pd.read_csv(file, sep="\t", header=None, dtype=str, keep_default_na=False, encoding="utf-8")
    if frame.shape[1] != len(columns):
        raise DataError(f"{frame.shape[1]} columns in place of {len(columns)}", where=str(file))
    return frame.set_axis(list(columns), axis=1)


def with_valid(frame: pd.DataFrame, keys: Sequence[str], seed: int) -> pd.DataFrame:
    """Moves a seeded tenth of the distinct training keys to valid; rows with the same key stay together.

    Args:
        frame: a table with a column `split`.
        keys: one for each row, such as its sequence.
        seed: seed of the random state.
    """
    said = frame[SPLIT_COLUMN].to_numpy(dtype=object, copy=True)
    train = np.flatnonzero(said == "train")
    numbers = _numbered([keys[row] for row in train.tolist()])
    distinct = int(numbers.max(initial=-1)) + 1
    drawn = np.random.default_rng(seed).permutation(distinct)[: round(VALID_SHARE * distinct)]
    said[train[np.isin(numbers, drawn)]] = "valid"
    return frame.assign(**{SPLIT_COLUMN: said})


def with_folds(frame: pd.DataFrame, keys: Sequence[str], folds: int, seed: int) -> pd.DataFrame:
    """Adds a column `fold`, numbered from 0, with keys assigned at random; rows with the same key share a fold.

    Args:
        frame: the table.
        keys: one for each row, such as its sequence.
        folds: number of folds.
        seed: seed of the random state.
    """
    numbers = _numbered(keys)
    order = np.random.default_rng(seed).permutation(int(numbers.max(initial=-1)) + 1)
    return frame.assign(**{FOLD_COLUMN: (order % folds)[numbers]})


def limited(frame: pd.DataFrame, limit: int | None) -> pd.DataFrame:
    """Returns `limit` rows at equal distances, so that every part, fold and class that is not tiny keeps its share.

    Places are rounded, not cut as by `spread_rows`: published figures depend on these rows.
    """
    if limit is None or limit >= len(frame):
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, limit).round().astype(int)].reset_index(drop=True)


def _numbered(keys: Sequence[str]) -> np.ndarray:
    """Each key's number in order of first appearance, int64 [N]."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)

"""A few rows of many, at equal distances: sorted or grouped tables keep the shares of their groups."""

from __future__ import annotations

import numpy as np


def spread_rows(count: int, most: int | None) -> np.ndarray:
    """Returns the numbers of at most `most` of `count` rows, at equal distances and in order, int64 [M].

    The first row and the last are among them, unless `most` is 1.

    Args:
        count: number of rows, 0 or more.
        most: maximum number of them; None: all.
    """
    if most is None or count <= most:
        return np.arange(count, dtype=np.int64)
    return np.linspace(0, count - 1, most).astype(np.int64)

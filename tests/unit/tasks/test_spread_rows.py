"""A few rows of many: at equal distances, in order, each once, with the first and the last."""

from __future__ import annotations

import numpy as np
import pytest

from mammal.tasks.tables.spread_rows import spread_rows


@pytest.mark.parametrize("count", [1, 2, 3, 10, 997, 100_000])
@pytest.mark.parametrize("most", [2, 3, 7, 500])
def test_rows_are_spread_over_the_whole_table(count: int, most: int) -> None:
    rows = spread_rows(count, most)
    distances = np.diff(rows)

    assert len(rows) == min(count, most)
    assert rows[0] == 0 and rows[-1] == count - 1
    assert (distances > 0).all() and np.ptp(distances) <= 1 if len(distances) else count == 1


@pytest.mark.parametrize("most", [None, 5, 6])
def test_a_table_that_is_small_enough_is_kept_whole(most: int | None) -> None:
    assert spread_rows(5, most).tolist() == [0, 1, 2, 3, 4]


def test_no_rows_of_none_and_one_row_of_many() -> None:
    assert spread_rows(0, 10).tolist() == []
    assert spread_rows(8, 1).tolist() == [0]

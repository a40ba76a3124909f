"""A range of rows of an input, which is answered and written together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from mammal.jobs.arrow_arrays import rows_of
from mammal.tasks.tables.lines import DAMAGED

FILE = "\0file"
"""Column with the name of the file that a row comes from, if there are several. No column of a file has this name."""

FILE_ROW = "\0row of the file"
"""Column with the number of a row in its file, counted from 1."""


@dataclass(frozen=True)
class Shard:
    """A fixed range of rows.

    Attributes:
        number: number of the shard, counted from 0.
        first: position of its first row in the input, counted from 0.
        rows: number of its rows.
        table: columns of the rows. It has no column if the rows are empty.
        damaged: for each line that could not be read, its position in the shard and the reason. The cells of such a
            row are empty.
        origins: for an input of several files, the columns `FILE` and `FILE_ROW` of the rows. None: it is one file.
    """

    number: int
    first: int
    rows: int
    table: pa.Table
    damaged: Mapping[int, str] = field(default_factory=dict)
    origins: pa.Table | None = None

    def records(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Returns one dictionary per row, with the columns `names`."""
        return self.table.select(names).to_pylist() if names else [{} for _ in range(self.rows)]

    def pick(self, rows: Sequence[int]) -> pa.Table:
        """Returns the rows at these positions of the shard, with all columns."""
        return rows_of(self.table, rows) if self.table.num_columns else self.table

    def pick_origins(self, rows: Sequence[int]) -> pa.Table:
        """Returns where the rows at these positions come from. Only for an input of several files."""
        assert self.origins is not None, "an input of several files has them"
        return rows_of(self.origins, rows)


def make_shard(number: int, first: int, rows: int, table: pa.Table) -> Shard:
    """Returns a shard, without the columns of a table that are not the user's.

    Args:
        number: number of the shard, counted from 0.
        first: position of its first row in the input, counted from 0.
        rows: number of its rows.
        table: the user's columns, and possibly `DAMAGED`, `FILE` and `FILE_ROW`.
    """
    names = table.column_names
    reasons = table.column(DAMAGED).to_pylist() if DAMAGED in names else []
    damaged = {place: reason for place, reason in enumerate(reasons) if reason is not None}
    origins = table.select([FILE, FILE_ROW]) if FILE in names else None
    theirs = table.select([name for name in names if name not in (DAMAGED, FILE, FILE_ROW)])
    return Shard(number, first, rows, theirs, damaged, origins)

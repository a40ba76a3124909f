"""Reading of Parquet files as Arrow tables, one chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.tasks.errors import DataError
from mammal.tasks.limits import LONGEST_CELL, too_long
from mammal.tasks.tables.compression import uncompressed
from mammal.tasks.tables.lines import check_distinct

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

_OFFSETS = {"string": "int32", "binary": "int32", "large_string": "int64", "large_binary": "int64"}
"""Types of text -> type of the offsets of their values."""


@contextmanager
def open_parquet(file: Path) -> Iterator[parquet.ParquetFile]:
    """Opens a Parquet file, compressed as a whole or not.

    Raises:
        DataError: it is not a Parquet file, or two columns have the same name.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with uncompressed(file) as plain:
        try:
            opened = parquet.ParquetFile(plain)
        except pa.ArrowInvalid as error:
            raise DataError(f"not a Parquet file: {error}", where=str(file)) from error
        with opened:
            check_distinct(opened.schema_arrow.names, str(file))
            yield opened


def parquet_tables(file: Path, size: int) -> Iterator[tuple[pa.Table, list[str | None]]]:
    """Reads a Parquet file in tables of at most `size` rows; a file without rows gives one table without rows.

    Cells that are longer than `LONGEST_CELL` are replaced by null.

    Args:
        file: the file.
        size: number of rows.

    Yields:
        The table, and for each row the reason if one of its cells was replaced, else None.

    Raises:
        DataError: the file is not a Parquet file, or damaged.
    """
    import pyarrow as pa

    with open_parquet(file) as opened:
        first = 0
        for batch in _batches(opened, size, file):
            yield _without_long_cells(pa.Table.from_batches([batch]), first)
            first += len(batch)
        if not first:
            yield opened.schema_arrow.empty_table(), []


def _batches(opened: parquet.ParquetFile, size: int, file: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        yield from opened.iter_batches(batch_size=size)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(f"damaged Parquet file: {error}", where=str(file)) from error


def _without_long_cells(table: pa.Table, first: int) -> tuple[pa.Table, list[str | None]]:
    import pyarrow as pa

    reasons: list[str | None] = [None] * len(table)
    for place, field in enumerate(table.schema):
        lengths = _lengths(table.column(place).chunk(0)) if len(table) else None
        if lengths is None or lengths.max() <= LONGEST_CELL:
            continue
        values = table.column(place).to_pylist()
        for row in (lengths > LONGEST_CELL).nonzero()[0].tolist():
            values[row] = None
            why = too_long(f"column {field.name!r}", int(lengths[row]), LONGEST_CELL, "bytes")
            reasons[row] = reasons[row] or f"row {first + row + 1}: {why}"
        table = table.set_column(place, field, pa.array(values, field.type))
    return table, reasons


def _lengths(column: Any) -> Any:
    """Bytes of each value of a column of text or bytes; None for other columns."""
    import numpy as np

    kind = _OFFSETS.get(str(column.type))
    if kind is None:
        return None
    ends = np.frombuffer(column.buffers()[1], dtype=kind)[column.offset : column.offset + len(column) + 1]
    return np.diff(ends)

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

DAMAGED_FILE = "damaged Parquet file"
COPY_AGAIN = "copy or write the file again"

_OFFSETS = {"string": "int32", "binary": "int32", "large_string": "int64", "large_binary": "int64"}
"""Types of text -> type of the offsets of their values."""


@contextmanager
def open_parquet(file: Path) -> Iterator[parquet.ParquetFile]:
    """Opens a Parquet file, compressed as a whole or not.

    Raises:
        DataError: it is not a Parquet file, it is damaged, or two columns have the same name.
    """
    from pyarrow import parquet

    with uncompressed(file) as plain:
        with _damage_as_data_errors(file, "not a Parquet file"):
            opened = parquet.ParquetFile(plain)
        with opened:
            with _damage_as_data_errors(file, DAMAGED_FILE):
                names = opened.schema_arrow.names
            check_distinct(names, str(file))
            yield opened


def parquet_tables(file: Path, size: int) -> Iterator[tuple[pa.Table, list[str | None]]]:
    """Reads a Parquet file in tables of at most `size` rows; a file without rows gives one table without rows.

    Cells that are longer than `LONGEST_CELL`, texts that are not UTF-8, and times that Python can't hold, are replaced
    by null.

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
            with _damage_as_data_errors(file, DAMAGED_FILE):
                table = pa.Table.from_arrays(batch.columns, schema=nullable(batch.schema))
                table, reasons = _decodable(table, first)
            table, long = _without_long_cells(table, first)
            yield table, [reason or other for reason, other in zip(reasons, long, strict=True)]
            first += len(batch)
        if first != opened.metadata.num_rows:
            what = f"{DAMAGED_FILE}: it has {first:,} rows, and {opened.metadata.num_rows:,} by its footer"
            raise DataError(what, where=str(file), hint=COPY_AGAIN)
        if not first:
            yield nullable(opened.schema_arrow).empty_table(), []


def nullable(schema: pa.Schema) -> pa.Schema:
    """Returns a schema whose columns can have empty cells, as those that can't be read have, in required columns, too.

    Args:
        schema: schema of a Parquet file.
    """
    import pyarrow as pa

    return pa.schema([field.with_nullable(True) for field in schema], schema.metadata)


@contextmanager
def _damage_as_data_errors(file: Path, what: str) -> Iterator[None]:
    """Converts what pyarrow raises for damaged files to DataErrors that name the file.

    Most are Arrow errors. Metadata that can't be decoded are an OSError without a number, and names that are not UTF-8
    a ValueError. A length far beyond the file is a MemoryError, and an unknown type in damaged metadata looks like one
    that pyarrow doesn't support.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # a disk that fails
            raise
        if isinstance(error, pa.ArrowNotImplementedError):
            what = "damaged, or a kind of Parquet that pyarrow can't read"
        elif isinstance(error, MemoryError):
            what = f"{DAMAGED_FILE}, or the memory is too small"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{what}: {reason}", where=str(file), hint=COPY_AGAIN) from error


def _batches(opened: parquet.ParquetFile, size: int, file: Path) -> Iterator[pa.RecordBatch]:
    with _damage_as_data_errors(file, DAMAGED_FILE):
        yield from opened.iter_batches(batch_size=size)


def _decodable(table: pa.Table, first: int) -> tuple[pa.Table, list[str | None]]:
    """The table with null in place of values that can't be Python values, and for each row the reason."""
    import pyarrow as pa

    reasons: list[str | None] = [None] * len(table)
    for place, field in enumerate(table.schema):
        try:
            table.column(place).validate(full=True)
            if _has_times(field.type):
                table.column(place).to_pylist()
        except (pa.ArrowInvalid, OverflowError, ValueError):
            values = []
            for row, scalar in enumerate(table.column(place)):
                value, reason = _value(scalar)
                values.append(value)
                if reason is not None:
                    reasons[row] = reasons[row] or f"row {first + row + 1}: column {field.name!r} is {reason}"
            table = table.set_column(place, field, pa.array(values, field.type))
    return table, reasons


def _value(scalar: pa.Scalar) -> tuple[Any, str | None]:
    """The value of a cell, or None and the reason."""
    import pyarrow as pa

    try:
        return scalar.as_py(), None
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 text: byte 0x{error.object[error.start]:02x}"
    except pa.ArrowInvalid:
        return None, f"a time whose time zone is not known on this machine ({scalar.type})"
    except (OverflowError, ValueError):
        return None, "a time outside the years 1 to 9999"


def _has_times(kind: pa.DataType) -> bool:
    """Whether values of a type are, or contain, times or dates."""
    import pyarrow as pa

    inner = [kind.field(place).type for place in range(kind.num_fields)]
    return pa.types.is_temporal(kind) or any(map(_has_times, inner))


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

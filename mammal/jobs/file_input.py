"""A file that a job reads. It is read shard by shard, and each column has the same type in every shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from mammal.files import file_hash
from mammal.jobs.arrow_arrays import array_of
from mammal.jobs.input_files import InputFile
from mammal.jobs.row_count import count_rows
from mammal.jobs.shard import Shard, make_shard
from mammal.tasks.tables.delimited import DELIMITERS, TextRows
from mammal.tasks.tables.encodings import checked_encoding
from mammal.tasks.tables.lines import DAMAGED, UTF_8
from mammal.tasks.tables.notices import FileNotices
from mammal.tasks.tables.parquet_files import nullable, open_parquet, parquet_tables
from mammal.tasks.tables.readers import file_format, iter_tables, iter_text_rows

if TYPE_CHECKING:
    import pandas as pd

RAGGED = ("jsonl", "sdf")
"""Formats in which a later row can have a new column, or a value of another type."""


@dataclass(frozen=True)
class JobInput:
    """The input of a job: rows of a file, or empty rows. `mammal.jobs.several_files` has that of several files.

    Attributes:
        schema: columns with their types.
        fingerprint: text that differs for different contents.
        path: the file. None: the input is `rows` empty rows.
        rows: number of rows. None: unknown until the file has been read.
        encoding: encoding that the caller gives for the file. None: none is given.
        file: the file with its name. None: it has no other name than `path`.
        keep_blocks: whether there is a column with the mol blocks of an SDF file.
        has_origins: whether shards have origins, because there can be several files.
    """

    schema: pa.Schema
    fingerprint: str
    path: Path | None = None
    rows: int | None = None
    encoding: str | None = None
    file: InputFile | None = None
    keep_blocks: bool = False

    has_origins: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """Name of the file, as it is reported."""
        return str(self.path) if self.file is None else self.file.name

    @property
    def hashes(self) -> Mapping[str, str] | None:
        """Content hash of each of several files, by its name; None for one file."""
        return None

    @property
    def local_files(self) -> dict[str, Path]:
        """Files on this machine that are read, by what they are; without copies of remote files."""
        remote = self.file is not None and self.file.copies is not None
        return {} if self.path is None or remote else {"input": self.path}

    @property
    def urls(self) -> list[str]:
        """Remote files that are read."""
        return [self.file.name] if self.file is not None and self.file.copies is not None else []

    def shards(self, size: int) -> Iterator[Shard]:
        """Yields the rows in shards of `size` rows. The last shard can be shorter."""
        first = 0
        for number, (rows, table) in enumerate(self._cut_tables(size)):
            yield make_shard(number, first, rows, table)
            first += rows

    def tables(self, size: int) -> Iterator[pa.Table]:
        """Yields the rows of a file in tables of at most `size` rows; the column `DAMAGED` has reasons, if it is there.

        Raises:
            DataError: the file can't be read.
        """
        assert self.path is not None, "an input without a file has no tables"
        with nullcontext() if self.file is None else self.file.named_in_errors():
            yield from self._tables(self.path, size)

    def without_files(self) -> JobInput:
        """Returns the columns of the input, for processes that get its rows."""
        return JobInput(self.schema, self.fingerprint, rows=0, encoding=self.encoding)

    def _cut_tables(self, size: int) -> Iterator[tuple[int, pa.Table]]:
        return self._empty_rows(size) if self.path is None else cut_tables(self.tables(size), size)

    def count(self) -> int | None:
        """How many rows there are, for the progress of a job; text files are counted without reading their cells."""
        return (
            self.rows if self.rows is not None or self.path is None else count_rows(self.path, self.encoding or UTF_8)
        )

    def _tables(self, file: Path, size: int) -> Iterator[pa.Table]:
        form = file_format(file)
        how: dict[str, Any] = {"keep_damaged": True, "encoding": self.encoding or UTF_8}
        if form == "parquet":
            for table, reasons in parquet_tables(file, size):
                yield table.replace_schema_metadata(None).append_column(DAMAGED, array_of(reasons, pa.string()))
        elif form in DELIMITERS:
            for rows in iter_text_rows(file, size, **how):
                yield _table_of_text(rows)
        else:
            for frame in iter_tables(file, size, **how, keep_blocks=self.keep_blocks):
                yield as_table(frame, self.schema)

    def _empty_rows(self, size: int) -> Iterator[tuple[int, pa.Table]]:
        total = self.rows or 0
        for start in range(0, total, size):
            yield min(size, total - start), self.schema.empty_table()


def open_file(given: InputFile, encoding: str | None = None, *, keep_blocks: bool = False) -> JobInput:
    """Opens one file as the input of a job and finds its columns.

    Args:
        given: the file.
        encoding: encoding of a text file. Default: UTF-8, or UTF-16 with a byte order mark.
        keep_blocks: for an SDF file, add the column `BLOCK` with the mol blocks.

    Raises:
        DataError: the file can't be read; or there is no such encoding, or the format of the file has none to choose.
    """
    file = given.path
    form = file_format(file)
    encoding = checked_encoding(encoding, form, file)
    if form == "parquet":
        with open_parquet(file) as stored:
            schema, rows = nullable(stored.schema_arrow).remove_metadata(), stored.metadata.num_rows
    elif form in RAGGED:
        schema, rows = _scan(file, encoding or UTF_8, keep_blocks)
    else:
        how: dict[str, Any] = {"keep_damaged": True, "encoding": encoding or UTF_8, "notices": FileNotices()}
        schema, rows = _text_schema(_first_names(file, form, how)), None
    return JobInput(schema, file_hash(file), file, rows, encoding, given, keep_blocks)


def as_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Converts a frame to the types of a schema. If it has reasons of damaged lines, they become the last column."""
    reasons = frame.pop(DAMAGED) if DAMAGED in frame else None
    table = _typed(frame, schema)
    return table if reasons is None else table.append_column(DAMAGED, pa.array(reasons, pa.string()))


def _first_names(file: Path, form: str, how: Mapping[str, Any]) -> list[str]:
    """Names of the columns of a text file."""
    if form in DELIMITERS:
        return [name for rows in islice(iter_text_rows(file, 1, **how), 1) for name in rows.names]
    return [str(name) for frame in islice(iter_tables(file, 1, **how), 1) for name in frame.columns]


def _text_schema(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names if name != DAMAGED])


def _table_of_text(rows: TextRows) -> pa.Table:
    """The cells as text; the reasons of damaged lines are the last column."""
    columns = zip(*rows.cells, strict=True) if rows.cells else [()] * len(rows.names)
    arrays = [array_of(column, pa.string()) for column in (*columns, rows.reasons)]
    return pa.Table.from_arrays(arrays, schema=_text_schema(rows.names).append(pa.field(DAMAGED, pa.string())))


def _scan(file: Path, encoding: str, keep_blocks: bool) -> tuple[pa.Schema, int]:
    types: dict[str, pa.DataType] = {}
    rows = 0
    how: dict[str, Any] = {"encoding": encoding, "notices": FileNotices(), "keep_blocks": keep_blocks}
    for frame in iter_tables(file, keep_damaged=True, **how):
        rows += len(frame)
        for name in frame.columns.drop(DAMAGED, errors="ignore"):
            found = _type_of(frame[name])
            types[str(name)] = common_type(types.get(str(name), pa.null()), found)
    fixed = {name: pa.string() if pa.types.is_null(found) else found for name, found in types.items()}
    return pa.schema(list(fixed.items())), rows


def _type_of(column: pd.Series) -> pa.DataType:
    try:
        return pa.array(column, from_pandas=True).type
    except (pa.ArrowException, OverflowError):  # OverflowError: an integer of more than 64 bits
        return pa.string()


def common_type(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """Returns a type that holds values of both: a wider number, a record with all fields, and otherwise text."""
    pair = [pa.schema([("value", kind)]) for kind in (first, second)]
    try:
        return pa.unify_schemas(pair, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return pa.string()


def _typed(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    columns = {str(name): frame[name] for name in frame.columns}
    arrays = [
        _array(columns[field.name], field.type) if field.name in columns else pa.nulls(len(frame), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(column: pd.Series, kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(column, type=kind, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        return pa.array([_as_text(value) for value in column], type=kind)


def _as_text(value: Any) -> str | None:
    return None if value is None or value != value else str(value)  # NaN differs from itself


def cut_tables(tables: Iterator[pa.Table], size: int) -> Iterator[tuple[int, pa.Table]]:
    """Yields the rows of tables of any length as tables of exactly `size` rows; the last one can be shorter."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        while sum(len(held) for held in waiting) >= size:
            joined = pa.concat_tables(waiting)
            yield size, joined.slice(0, size)
            waiting = [joined.slice(size)]
    if left := sum(len(held) for held in waiting):
        yield left, pa.concat_tables(waiting)

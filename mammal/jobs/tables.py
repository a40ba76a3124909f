"""Tables that a job writes: one shard at a time. The shards are joined with at most one shard in memory."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import pyarrow as pa

from mammal.errors import JobError

_LINE_END = "\r\n"


class OutputFormat(Protocol):
    """Format of the output of a job. Shards are written one by one and joined at the end."""

    @property
    def suffix(self) -> str:
        """Suffix of the shards."""

    def check(self, path: Path, schema: pa.Schema) -> None:
        """Checks that the output can hold the columns of `schema`.

        Raises:
            JobError: it can't.
        """

    def write(self, table: pa.Table, path: Path) -> None:
        """Writes one shard."""

    def join(self, parts: Sequence[Path], path: Path, schema: pa.Schema) -> None:
        """Writes the shards `parts` to one file, in order."""

    def add_false(self, part: Path, padded: Path, column: str) -> None:
        """Writes a shard again with a last column that is false in every row, if an answer can be about a part of a
        row (`mammal.rows.cut_rows`)."""

    def complete(self, path: Path) -> None:
        """Writes files that belong to the finished output, such as an index."""


class TableFormat(ABC):
    """A table: one line or record for each row. `TABLES` lists the formats.

    Attributes:
        suffix: suffix of its files.
        holds_lists: whether a cell can be a list.
        is_text: whether its cells are text, without types.
    """

    suffix: str
    holds_lists = True
    is_text = False

    def check(self, path: Path, schema: pa.Schema) -> None:
        """Checks that the format of an output can hold the columns of `schema`.

        Raises:
            JobError: the suffix is unknown, or its format can't hold one of the columns.
        """
        if path.suffix not in TABLES:
            hint = f"one of {', '.join(FORMATS)}; .sdf for molecules; FOLDER/ for Parquet parts"
            raise JobError("the suffix of the output names no known format", where=str(path), hint=hint)
        nested = [column.name for column in schema if pa.types.is_nested(column.type)]
        if nested and not self.holds_lists:
            able = " or ".join(form.suffix for form in TABLES.values() if form.holds_lists)
            what = f"column {', '.join(nested)} holds lists, which {path.suffix} can't"
            raise JobError(what, where=str(path), hint=f"write {able}")

    @abstractmethod
    def write(self, table: pa.Table, path: Path) -> None:
        """Writes one shard."""

    @abstractmethod
    def join(self, parts: Sequence[Path], path: Path, schema: pa.Schema) -> None:
        """Joins shards to one file, in order, with at most one of them in memory.

        Args:
            parts: files of the shards.
            path: file to write.
            schema: columns of the shards.
        """

    @abstractmethod
    def add_false(self, part: Path, padded: Path, column: str) -> None:
        """Writes a shard again with a last column that is false in every row.

        Args:
            part: the shard.
            padded: the new file.
            column: name of the new column.
        """

    def complete(self, path: Path) -> None:  # noqa: B027
        """Does nothing: a table needs no further file."""


class Parquet(TableFormat):
    """Apache Parquet; a shard is one group of rows."""

    suffix = ".parquet"

    def write(self, table: pa.Table, path: Path) -> None:
        from pyarrow import parquet

        parquet.write_table(table, path)

    def join(self, parts: Sequence[Path], path: Path, schema: pa.Schema) -> None:
        from pyarrow import parquet

        with parquet.ParquetWriter(path, schema) as writer:
            for part in parts:
                writer.write_table(parquet.read_table(part))

    def add_false(self, part: Path, padded: Path, column: str) -> None:
        from pyarrow import parquet

        table = parquet.read_table(part)
        self.write(table.append_column(column, pa.array([False] * len(table), pa.bool_())), padded)


class Delimited(TableFormat):
    """Lines of cells with a header. Shards have no header; `join` writes it once."""

    holds_lists = False
    is_text = True

    def __init__(self, suffix: str, delimiter: str):
        self.suffix, self._delimiter = suffix, delimiter

    def write(self, table: pa.Table, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as stream:
            self._writer(stream).writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def join(self, parts: Sequence[Path], path: Path, schema: pa.Schema) -> None:
        line = io.StringIO(newline="")
        self._writer(line).writerow(schema.names)
        _concatenate(parts, path, line.getvalue().encode())

    def add_false(self, part: Path, padded: Path, column: str) -> None:
        with part.open(encoding="utf-8", newline="") as lines, padded.open("w", encoding="utf-8", newline="") as stream:
            rows = csv.reader(lines, delimiter=self._delimiter)
            self._writer(stream).writerows([*row, False] for row in rows)

    def _writer(self, stream: TextIO) -> Any:
        """Returns a writer that quotes only cells that need it; pyarrow's writer quotes every text."""
        return csv.writer(_UnixLines(stream), delimiter=self._delimiter, lineterminator=_LINE_END)


class _UnixLines:
    """Ends the lines of `csv.writer` with a line feed alone.

    The writer quotes cells with a character of its line end only. A cell with a carriage return needs quotes, too,
    because readers see the end of a line in it.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, line: str) -> None:
        self._stream.write(f"{line.removesuffix(_LINE_END)}\n")


class JsonLines(TableFormat):
    """One JSON object for each row."""

    suffix = ".jsonl"

    def write(self, table: pa.Table, path: Path) -> None:
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{json.dumps(_jsonable(row), ensure_ascii=False)}\n" for row in table.to_pylist())

    def join(self, parts: Sequence[Path], path: Path, schema: pa.Schema) -> None:
        _concatenate(parts, path)

    def add_false(self, part: Path, padded: Path, column: str) -> None:
        with part.open(encoding="utf-8") as lines, padded.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{line.rstrip()[:-1]}, {json.dumps(column)}: false}}\n" for line in lines)


PARQUET = Parquet()
TABLES: Mapping[str, TableFormat] = {
    form.suffix: form for form in (PARQUET, Delimited(".csv", ","), Delimited(".tsv", "\t"), JsonLines())
}
"""Suffix -> the format of tables. A job can write each of them."""
FORMATS = tuple(TABLES)
TEXT_TABLES = tuple(form.suffix for form in TABLES.values() if form.is_text)
"""Formats whose rows are often joined with those of another file by their position."""


def join_as(parts: Sequence[Path], path: Path, suffix: str) -> None:
    """Joins Parquet shards in order, in the format of a suffix; each shard is first written again in that format.

    Args:
        parts: files of the shards, at least one.
        path: file to write.
        suffix: suffix that names the format.
    """
    from pyarrow import parquet

    form, schema = TABLES[suffix], parquet.read_schema(parts[0])
    if form is not PARQUET:
        for part in parts:
            form.write(parquet.read_table(part), part.with_suffix(suffix))
    form.join([part.with_suffix(suffix) for part in parts], path, schema)


def _concatenate(parts: Sequence[Path], path: Path, header: bytes = b"") -> None:
    with path.open("wb") as stream:
        stream.write(header)
        for part in parts:
            with part.open("rb") as shard:
                shutil.copyfileobj(shard, stream, length=1 << 20)


def _jsonable(value: Any) -> Any:
    """Returns the value with times as ISO text, and non-finite numbers, which JSON lacks, as null."""
    if isinstance(value, dict):
        return {key: _jsonable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_jsonable(child) for child in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)

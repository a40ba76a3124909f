"""Tables that a job writes: one shard at a time. The shards are joined with at most one shard in memory."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import pyarrow as pa
import pyarrow.parquet

from mammal.errors import JobError

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
FORMATS = (".parquet", ".csv", ".tsv", ".jsonl")
TEXT_TABLES = tuple(_DELIMITERS)
"""Formats whose rows are often joined with those of another file by their position."""


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

    def complete(self, path: Path) -> None:
        """Writes files that belong to the finished output, such as an index."""


@dataclass(frozen=True)
class TableFormat:
    """A table in the format of its suffix (one of `FORMATS`)."""

    suffix: str

    def check(self, path: Path, schema: pa.Schema) -> None:
        check_output(path, schema)

    def write(self, table: pa.Table, path: Path) -> None:
        write_table(table, path, self.suffix)

    def join(self, parts: Sequence[Path], path: Path, schema: pa.Schema) -> None:
        join_tables(parts, path, self.suffix, schema)

    def complete(self, path: Path) -> None:
        """Does nothing: a table needs no further file."""


def check_output(path: Path, schema: pa.Schema) -> None:
    """Checks that the format of an output can hold the columns of `schema`.

    Raises:
        JobError: the suffix is unknown, or its format can't hold one of the columns.
    """
    if path.suffix not in FORMATS:
        raise JobError(
            "the suffix of the output names no known format", where=str(path), hint="one of " + ", ".join(FORMATS)
        )
    nested = [column.name for column in schema if pa.types.is_nested(column.type)]
    if nested and path.suffix in _DELIMITERS:
        raise JobError(
            f"column {', '.join(nested)} holds lists, which {path.suffix} can't",
            where=str(path),
            hint="write .parquet or .jsonl",
        )


def write_table(table: pa.Table, path: Path, suffix: str) -> None:
    """Writes one shard. CSV and TSV shards have no header; `join_tables` writes it once."""
    if suffix == ".parquet":
        pa.parquet.write_table(table, path)
    elif suffix == ".jsonl":
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{json.dumps(_jsonable(row), ensure_ascii=False)}\n" for row in table.to_pylist())
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            _writer(stream, suffix).writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))


def join_tables(parts: Sequence[Path], path: Path, suffix: str, schema: pa.Schema | None = None) -> None:
    """Joins shards to one file, in order.

    Args:
        parts: files of the shards.
        path: file to write.
        suffix: suffix that names the format.
        schema: columns of the shards. Needed if `parts` can be empty, and for the header of a CSV or TSV file.
    """
    if suffix == ".parquet":
        with pa.parquet.ParquetWriter(path, schema or pa.parquet.read_schema(parts[0])) as writer:
            for part in parts:
                writer.write_table(pa.parquet.read_table(part))
        return
    with path.open("wb") as stream:
        if suffix in _DELIMITERS and schema is not None:
            stream.write(_header(schema.names, suffix))
        for part in parts:
            with part.open("rb") as shard:
                shutil.copyfileobj(shard, stream, length=1 << 20)


def join_as(parts: Sequence[Path], path: Path, suffix: str) -> None:
    """Appends Parquet shards in order, in the format of a suffix; each shard is first written again in that format."""
    if suffix == ".parquet":
        join_tables(parts, path, suffix)
        return
    for part in parts:
        write_table(pa.parquet.read_table(part), part.with_suffix(suffix), suffix)
    join_tables([part.with_suffix(suffix) for part in parts], path, suffix, pa.parquet.read_schema(parts[0]))


def add_false(part: Path, padded: Path, suffix: str, column: str) -> None:
    """Writes a shard anew with a last column that is false in every row.

    Args:
        part: the shard, as `write_table` wrote it.
        padded: the new file.
        suffix: the format.
        column: name of the new column.
    """
    if suffix == ".parquet":
        table = pa.parquet.read_table(part)
        pa.parquet.write_table(table.append_column(column, pa.array([False] * len(table), pa.bool_())), padded)
    elif suffix == ".jsonl":
        with part.open(encoding="utf-8") as lines, padded.open("w", encoding="utf-8") as stream:
            stream.writelines(f"{line.rstrip()[:-1]}, {json.dumps(column)}: false}}\n" for line in lines)
    else:
        with part.open(encoding="utf-8", newline="") as lines, padded.open("w", encoding="utf-8", newline="") as stream:
            rows = csv.reader(lines, delimiter=_DELIMITERS[suffix])
            _writer(stream, suffix).writerows([*row, False] for row in rows)


def _header(names: Sequence[str], suffix: str) -> bytes:
    line = io.StringIO(newline="")
    _writer(line, suffix).writerow(names)
    return line.getvalue().encode()


def _writer(stream: TextIO, suffix: str) -> Any:
    """Returns a writer that quotes only cells that need it; pyarrow's writer quotes every text."""
    return csv.writer(stream, delimiter=_DELIMITERS[suffix], lineterminator="\n")


def _jsonable(value: Any) -> Any:
    """Returns the value with times as ISO text, and non-finite numbers, which JSON lacks, as null."""
    if isinstance(value, dict):
        return {key: _jsonable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_jsonable(child) for child in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)

"""Several files as one input: the same columns, rows in the order of the files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mammal.errors import ConfigError, DataError, did_you_mean
from mammal.jobs.arrow_arrays import array_of
from mammal.jobs.file_input import RAGGED, JobInput, common_type, cut_tables
from mammal.jobs.shard import FILE, FILE_ROW
from mammal.tasks.tables.lines import DAMAGED
from mammal.tasks.tables.readers import file_format


@dataclass(frozen=True)
class SeveralFiles(JobInput):
    """Rows of several files.

    Attributes:
        parts: the inputs of the single files, in order.
        file_column: name of a column with the name of the file. None: there is none.
    """

    parts: Sequence[JobInput] = ()
    file_column: str | None = None

    has_origins = True

    @property
    def hashes(self) -> Mapping[str, str]:
        return {part.name: part.fingerprint for part in self.parts}

    @property
    def local_files(self) -> dict[str, Path]:
        return {f"input {what}": path for part in self.parts for what, path in part.local_files.items()}

    @property
    def urls(self) -> list[str]:
        return [url for part in self.parts for url in part.urls]

    def count(self) -> int | None:
        counts = [part.count() for part in self.parts]
        return None if None in counts else sum(count for count in counts if count is not None)

    def _cut_tables(self, size: int) -> Iterator[tuple[int, pa.Table]]:
        return cut_tables((table for part in self.parts for table in self._tables_of(part, size)), size)

    def _tables_of(self, part: JobInput, size: int) -> Iterator[pa.Table]:
        """Tables of one file, with the columns of all files and, for each row, where it comes from."""
        first = 0
        for table in part.tables(size):
            columns = [self._column(table, field, part.name) for field in self.schema]
            reasons = table.column(DAMAGED).to_pylist() if DAMAGED in table.column_names else [None] * len(table)
            reasons = [None if reason is None else f"{part.name}, {reason}" for reason in reasons]
            hidden = {
                DAMAGED: array_of(reasons, pa.string()),
                FILE: array_of([part.name] * len(table), pa.string()),
                FILE_ROW: pa.array(range(first + 1, first + len(table) + 1), pa.int64()),
            }
            first += len(table)
            yield pa.Table.from_arrays([*columns, *hidden.values()], names=[*self.schema.names, *hidden])

    def _column(self, table: pa.Table, field: pa.Field, name: str) -> pa.ChunkedArray | pa.Array:
        if field.name == self.file_column:
            return array_of([name] * len(table), pa.string())
        if field.name not in table.column_names:
            return pa.nulls(len(table), field.type)
        column = table.column(field.name)
        if column.type == field.type:
            return column
        if field.type == pa.string() and not pa.types.is_large_string(column.type):
            texts = [value if value is None else str(value) for value in column.to_pylist()]
            return pa.array(texts, pa.string())
        return column.cast(field.type)


def joined_inputs(parts: Sequence[JobInput], file_column: str | None = None) -> SeveralFiles:
    """Returns several inputs as one.

    Args:
        parts: the inputs of the single files, in the order of their rows; at least one.
        file_column: name of a column with the name of the file. None: there is none.

    Raises:
        DataError: a file has other columns than the first one, or a column has another type. The message names the
            file, the columns and the nearest names.
        ConfigError: the files have a column `file_column`.
    """
    schema = _common_schema(parts)
    if file_column is not None:
        if file_column in schema.names:
            what = f"file_column={file_column}: the input already has a column {file_column!r}"
            raise ConfigError(what, hint="choose another name")
        schema = schema.append(pa.field(file_column, pa.string()))
    listed = json.dumps([[part.name, part.fingerprint] for part in parts])
    whole = hashlib.blake2b(listed.encode(), digest_size=16).hexdigest()
    fingerprint = f"{len(parts)} files {whole}"
    encoding = parts[0].encoding
    return SeveralFiles(schema, fingerprint, encoding=encoding, parts=tuple(parts), file_column=file_column)


def _common_schema(parts: Sequence[JobInput]) -> pa.Schema:
    if all(part.path is not None and file_format(part.path) in RAGGED for part in parts):
        types: dict[str, pa.DataType] = {}
        for part in parts:
            for field in part.schema:
                types[field.name] = common_type(types.get(field.name, pa.null()), field.type)
        return pa.schema(list(types.items()))
    first = parts[0]
    for part in parts[1:]:
        _check_columns(first, part)
    return pa.schema([(field.name, _one_type(field, parts)) for field in first.schema])


def _check_columns(first: JobInput, other: JobInput) -> None:
    """Refuses a file whose columns are not those of the first file."""
    theirs, ours = other.schema.names, first.schema.names
    lacks, more = [name for name in ours if name not in theirs], [name for name in theirs if name not in ours]
    if not lacks and not more:
        return
    apart = [f"it lacks {_listed(lacks)}" if lacks else "", f"it has {_listed(more)}, which that lacks" if more else ""]
    hint = "add or remove the columns, or give the file a job of its own"
    if lacks and more:
        nearest = did_you_mean(lacks[0], more, noun="column")
        hint = f"for {lacks[0]!r}: {nearest}; rename it, or give the file a job of its own"
    what = f"other columns than in {first.name}: {'; '.join(filter(None, apart))}"
    raise DataError(what, where=other.name, hint=hint)


def _one_type(field: pa.Field, parts: Sequence[JobInput]) -> pa.DataType:
    """The type of a column in all files: the widest, if they are numbers."""
    kind = field.type
    for part in parts[1:]:
        theirs = part.schema.field(field.name).type
        try:
            pair = [pa.schema([("value", one)]) for one in (kind, theirs)]
            kind = pa.unify_schemas(pair, promote_options="permissive").field(0).type
        except pa.ArrowException:
            what = f"column {field.name!r} is {theirs} here and {kind} in {parts[0].name}"
            hint = "give all files the same types, for example all as .parquet or all as .csv"
            raise DataError(what, where=part.name, hint=hint) from None
    return kind


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + ", …" * (len(names) > 5)

"""Turns the answers of a shard into two tables: rows with an answer, and rows without an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from mammal.jobs.arrow_arrays import array_of
from mammal.jobs.shard import Shard
from mammal.rows.answer_columns import ERROR, AnswerColumn, Record
from mammal.rows.batched import Refused
from mammal.rows.cut_rows import cut_name, rows_cut
from mammal.rows.tables import Failed, check_names
from mammal.tasks.tables.molecule_files import BLOCK

ROW = "row"
"""Column of the errors file: number of the row in the input, counted from 1."""

FROM_FILE, ROW_IN_FILE = "from_file", "row_in_file"
"""Columns of the errors file, for an input of several files: name of the file, and number of the row in it."""

_TYPES = {
    "text": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "vector": pa.list_(pa.float32()),
    "matrix": pa.list_(pa.list_(pa.float32())),
}


@dataclass(frozen=True)
class Layout:
    """Columns of the output and of the errors file of a job.

    Attributes:
        theirs: columns of the input, which are copied to both files.
        ours: columns of the answers.
        prefix: text before the names of the two columns that the errors file adds.
        keep_rows: rows without an answer stay in the output, with empty answers and the reason in a column `error`.
        meanings: column of the answers -> what its values are, for the metadata of a Parquet file.
        units: column of the answers -> unit of its numbers, for the same place.
        has_origins: the input has several files, and the errors file names that of each row.

    Raises:
        DataError: the input already has a column that is to be added.
    """

    theirs: pa.Schema
    ours: Sequence[AnswerColumn]
    prefix: str = ""
    keep_rows: bool = False
    meanings: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    has_origins: bool = False

    def __post_init__(self) -> None:
        added = [*self._error_names, *self._origin_schema.names]
        check_names(self.theirs.names, [*(column.name for column in self.ours), *added])

    @property
    def schema(self) -> pa.Schema:
        reason = [(self._error_names[1], pa.string())] if self.keep_rows else []
        return pa.schema([*self.theirs, *((column.name, _TYPES[column.holds]) for column in self.ours), *reason])

    @property
    def cut_name(self) -> str:
        """Name of the column that marks rows that were cut."""
        return cut_name([*self.schema.names, *self._error_names], self.prefix)

    def final_schema(self, *, cut: bool) -> pa.Schema:
        """Columns of the whole output, with their metadata.

        Args:
            cut: whether any row was cut.
        """
        fields = [self._described(column) for column in self.schema]
        return pa.schema([*fields, *([pa.field(self.cut_name, pa.bool_())] if cut else [])])

    def _described(self, column: pa.Field) -> pa.Field:
        """The column with its meaning and its unit as metadata, if they are known."""
        known = {"meaning": self.meanings.get(column.name), "unit": self.units.get(column.name)}
        metadata = {name: text for name, text in known.items() if text is not None}
        return column.with_metadata(metadata) if metadata else column

    @property
    def _error_names(self) -> tuple[str, str]:
        return f"{self.prefix}{ROW}", f"{self.prefix}{ERROR}"

    @property
    def _origin_schema(self) -> pa.Schema:
        """Columns of the errors file that say where a row comes from, if there are several files."""
        columns = {FROM_FILE: pa.string(), ROW_IN_FILE: pa.int64()} if self.has_origins else {}
        return pa.schema([(f"{self.prefix}{name}", kind) for name, kind in columns.items()])

    def answered(self, shard: Shard, answers: Sequence[list[Record] | Refused]) -> pa.Table:
        """Returns the rows with an answer. A row is repeated for each of its records that did not fail.

        With `keep_rows` it also returns each row without an answer, once, and each record that failed. If any row of
        the shard was cut, the last column marks these rows.
        """
        lines = [
            (i, record, reason)
            for i, given in enumerate(answers)
            for record, reason in _records(given)
            if reason is None or self.keep_rows
        ]
        passed = shard.pick([i for i, _, _ in lines])
        values = [
            array_of([record[place] if place < len(record) else None for _, record, _ in lines], _TYPES[column.holds])
            for place, column in enumerate(self.ours)
        ]
        if self.keep_rows:
            values.append(array_of([reason for _, _, reason in lines], pa.string()))
        answered = pa.Table.from_arrays([*passed.columns, *values], schema=self.schema)
        if not (cut := set(rows_cut(answers))):
            return answered
        return answered.append_column(self.cut_name, pa.array([i in cut for i, _, _ in lines], pa.bool_()))

    @staticmethod
    def reasons(answers: Sequence[list[Record] | Refused]) -> list[tuple[int, str]]:
        """Returns the positions of the rows that have no answer or a failed record, each with the reason."""
        reasons_of = ((i, _reasons(given)) for i, given in enumerate(answers))
        return [(i, reason) for i, reason in reasons_of if reason]

    def refused(self, shard: Shard, answers: Sequence[list[Record] | Refused]) -> pa.Table:
        """Returns the rows that have no answer or a failed record: row number, input columns and the reason."""
        bad = self.reasons(answers)
        row, error = self._error_names
        passed = shard.pick([i for i, _ in bad])
        shown = [field for field in self.theirs if field.name != BLOCK]
        schema = pa.schema([(row, pa.int64()), *self._origin_schema, *shown, (error, pa.string())])
        if not bad:
            return pa.Table.from_batches([], schema)
        numbers = pa.array([shard.first + i + 1 for i, _ in bad], pa.int64())
        origins = shard.pick_origins([i for i, _ in bad]).columns if self.has_origins else []
        reasons = array_of([reason for _, reason in bad], pa.string())
        copied = [passed.column(field.name) for field in shown]
        return pa.Table.from_arrays([numbers, *origins, *copied, reasons], schema=schema)


def _records(given: list[Record] | Refused) -> list[tuple[Record, str | None]]:
    """Values of each line of a row, and why a line has no answer."""
    if isinstance(given, Refused):
        return [((), given.reason)]
    return [(record, record.reason if isinstance(record, Failed) else None) for record in given]


def _reasons(given: list[Record] | Refused) -> str:
    if isinstance(given, Refused):
        return given.reason
    failed = list(dict.fromkeys(record.reason for record in given if isinstance(record, Failed)))
    count = sum(isinstance(record, Failed) for record in given)
    return f"{count} of {len(given)}: {'; '.join(failed)}" if failed and len(given) > 1 else "; ".join(failed)

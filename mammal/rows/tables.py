"""Converts the user's data (values, rows, data frames, files) to rows, and answers to data frames.

pandas is imported only when a data frame is read or made.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mammal.errors import ConfigError, DataError, did_you_mean
from mammal.rows.answer_columns import ERROR, AnswerColumn, Record
from mammal.rows.batched import Refused
from mammal.rows.column_match import column_alphabets, given_columns, guessed_column, named_rows, spelling
from mammal.rows.cut_rows import cut_name, rows_cut
from mammal.rows.input_data import input_data, is_path, plain_row
from mammal.tasks.tables.lines import DAMAGED, UTF_8, check_distinct

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadColumns:
    """Columns that are read from the user's data.

    Attributes:
        names: required columns, in the order of values that are given without names.
        aliases: for a column, the name that the user's table may have for it.
        others: for a required column, columns that can replace it (such as the IUPAC name of a molecule instead of its
            SMILES).
        beside: optional columns, which are read if a table has them.
        molecules: columns of molecules, which can be read from names instead (`names=`).
        conditions: optional columns with conditions of generation, each with the column that it is computed from, or
            None.
        steered: whether conditions are also requested outside of the rows, the same for all of them.
        guided: whether guidance is used, which needs at least one condition.
        mapped: for a column, the column of the user's table that the call names. The table must have it.
        alphabets: for a column, the alphabet it is written in, by which a column of another name is found.
    """

    names: Sequence[str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    beside: Sequence[str] = ()
    molecules: Collection[str] = ()
    conditions: Mapping[str, str | None] = field(default_factory=dict)
    steered: bool = False
    guided: bool = False
    mapped: Mapping[str, str] = field(default_factory=dict)
    alphabets: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_task(cls, task: Task, *, target: bool = False) -> ReadColumns:
        """Returns the columns that a task reads.

        Args:
            task: the task.
            target: also read the target columns.
        """
        names = [group[0] for group in task.needed] + [*(task.target_columns if target else ())]
        others = {
            group[0]: [*group[1:], *(task.fallbacks[column] for column in group if column in task.fallbacks)]
            for group in task.needed
        }
        beside = [*task.columns, *task.beside]
        read = {*names, *beside}
        aliases = {name: alias for name, alias in task.config.data.columns.items() if name in read}
        how: dict[str, Any] = {"conditions": task.steering.sources, "alphabets": column_alphabets(task)}
        return cls(list(dict.fromkeys(names)), aliases, others, beside, **how)

    def with_mapping(self, task: Task | None, columns: Mapping[str, str] | str | None) -> ReadColumns:
        """Returns the same columns, read from where a caller says. A target that is not read needs no column.

        Args:
            task: task that reads them. None: rows are prompts.
            columns: as for `mammal.rows.column_match.given_columns`.

        Raises:
            ConfigError: the task has no such column, or rows are prompts.
        """
        if task is None:
            if columns:
                raise ConfigError("columns names what a task reads, and these rows are prompts", hint="task=NAME")
            return self
        unread = set(task.target_columns) - {*self.names, *self.beside}
        given = given_columns(task, columns)
        return replace(self, mapped={name: theirs for name, theirs in given.items() if name not in unread})

    def check(self, columns: Sequence[str]) -> dict[str, str]:
        """Checks that a table has the required columns. Logs a warning if the task has conditions and the table none.

        Args:
            columns: columns of the table.

        Returns:
            Column as it is called here -> the column of the table that is read for it, where they differ.

        Raises:
            DataError: a required column is missing, and so are the columns that can replace it; a column looks like a
                misspelled condition; guidance is used without any condition; or `mapped` names a column
                that the table does not have.
        """
        for name, theirs in self.mapped.items():
            if columns and theirs not in columns:
                hint = did_you_mean(theirs, columns, noun="column")
                raise DataError(f"columns: {name} is read from {theirs!r}, which the table lacks", hint=hint)
        sources = {name: theirs for name, theirs in self.aliases.items() if theirs in columns and theirs != name}
        missing = [name for name in self.names if not self._is_there(name, columns)]
        sources |= {name: self._guessed(name, columns, sources) for name in missing}
        self._check_conditions(columns)
        return sources

    def _is_there(self, name: str, columns: Sequence[str]) -> bool:
        return any(self._held(column, columns) for column in (name, *self.others.get(name, ())))

    def _guessed(self, name: str, columns: Sequence[str], sources: Mapping[str, str]) -> str:
        """The only column of a table that can stand for one that it lacks, which is logged.

        Raises:
            DataError: there is none, or there are several.
        """
        group = [name, *self.others.get(name, ())]
        wanted = list(dict.fromkeys(self.aliases.get(column, column) for column in group))
        of_kind = [other for other in self.names if self.alphabets.get(other) == self.alphabets.get(name)]
        alphabet = self.alphabets.get(name) if len(of_kind) == 1 else None
        taken = {*self.among(columns), *sources.values(), *self.conditions}
        found = guessed_column([*wanted, name], alphabet, columns, taken)
        named = next(filter(_NAMES.fullmatch, columns), None) if name in self.molecules else None
        if len(found) == 1:
            logger.info("column %r is read as %r", found[0], name)
            return found[0]
        if found:
            hint = f"columns={{{name}: {found[0]}}}, or another of {', '.join(found[1:])}"
        else:
            hint = f"names={named}" if named else did_you_mean(wanted[0], columns, noun="column")
        raise DataError(f"no column {' or '.join(map(repr, wanted))}", hint=hint)

    def _check_conditions(self, columns: Sequence[str]) -> None:
        """Checks the spelling of conditions: they are optional, so a misspelled one would be ignored silently."""
        given = {name for name in (*self.conditions, *self.conditions.values()) if name and self._held(name, columns)}
        read = self.among(columns)
        spare = {spelling(column): column for column in columns if column not in read}
        for name in self.conditions:
            if name not in given and (close := get_close_matches(spelling(name), spare, n=1, cutoff=_ALIKE)):
                column = spare[close[0]]
                what = f"column {column!r} is not the condition {name!r}, which would be ignored"
                hint = f"rename it, or columns={{{name}: {column}}}; leave it out if it is something else"
                raise DataError(what, hint=hint)
        if not self.conditions or given or self.steered:
            return
        if self.guided:
            hint = f"give a value for one of {', '.join(self.conditions)}"
            raise DataError("guidance needs at least one condition", hint=hint)
        if columns:
            message = "no column is a condition: the task's conditions are %s, the table's columns %s"
            logger.warning(message, ", ".join(self.conditions), ", ".join(columns))

    def _held(self, name: str, columns: Sequence[str]) -> bool:
        """Whether a table has a column, under its own name or its alias."""
        return name in columns or self.aliases.get(name) in columns

    def among(self, columns: Sequence[Any]) -> list[Any]:
        """Returns those of `columns` that are read."""
        others = (column for group in self.others.values() for column in group)
        wanted = {*self.names, *self.beside, *others, *self.aliases.values()}
        return [name for name in columns if name in wanted]

    def rows(
        self,
        records: Callable[[Sequence[Any]], Sequence[Mapping[str, Any]]],
        columns: Sequence[Any],
        sources: Mapping[str, str],
    ) -> Sequence[Mapping[str, Any]]:
        """The rows of a table as they are read: under the names that columns have here.

        Args:
            records: gives the rows of a table with these of its columns.
            columns: of the table.
            sources: what `check` returned for them.
        """
        names = {str(name): name for name in columns}
        read = dict.fromkeys([*self.among(columns), *(names[theirs] for theirs in sources.values())])
        return named_rows(records(list(read)), {name: names[theirs] for name, theirs in sources.items()})


_NAMES = re.compile(r"iupac([ _-]?names?)?", re.IGNORECASE)
"""Usual titles of columns of systematic names."""

_ALIKE = 0.85
"""Smallest similarity (difflib) at which the name of a column counts as a misspelled condition."""

_Answer = TypeVar("_Answer")

_NUMBER = "\0number"
"""Name of a temporary column. No column of a user has this name."""


class Failed(tuple[Any, ...]):
    """A record that failed: the values of its first columns, as far as they are known, and the reason.

    Attributes:
        reason: why the other values are missing.
    """

    reason: str

    def __new__(cls, record: Sequence[Any], reason: str) -> Self:
        made = super().__new__(cls, record)
        made.reason = reason
        return made


@dataclass(frozen=True)
class RowTable:
    """Rows, with the data frame that they were read from.

    Attributes:
        rows: one mapping per row. For a data frame, it has only the columns that are read.
        original: the data frame. None if the user gave other data.
        damaged: reason why a row could not be read from the user's file, by the position of the row, from 0.
        index: index of the user's data. None: 0, 1, 2, …, or that of a file.
        shown: the rows with the user's own names of columns, if they differ. None: as `rows`.
        sources: for a column that is read, what the user's data call it, if that differs.
    """

    rows: Sequence[Mapping[str, Any]]
    original: pd.DataFrame | None = None
    damaged: Mapping[int, str] = field(default_factory=dict)
    index: Any = None
    shown: Sequence[Mapping[str, Any]] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> list[str]:
        """Columns of the user's data frame, or of the rows if there is no data frame."""
        if self.original is not None:
            return [str(name) for name in self.original.columns]
        return list(dict.fromkeys(str(name) for row in self.shown or self.rows for name in row))

    @property
    def left(self) -> pd.DataFrame:
        """What the user gave, as the left part of the result, under its own index."""
        import pandas as pd

        if self.original is not None:
            return self.original
        index = range(len(self.rows)) if self.index is None else self.index
        return pd.DataFrame(self.rows if self.shown is None else self.shown, index=index)

    def cut_name(self, ours: Sequence[str]) -> str:
        """Name of the column that marks rows that were cut, next to those of the answers (`error` is the last)."""
        return cut_name([*self.names, *ours], ours[-1].removesuffix(ERROR))

    def answered(self, answers: Sequence[_Answer | Refused]) -> list[_Answer | Refused]:
        """The answers, with a refusal for each row that could not be read."""
        reasons = self.damaged
        return [Refused(reasons[place]) if place in reasons else given for place, given in enumerate(answers)]

    def frame(
        self, columns: Sequence[AnswerColumn], answers: Sequence[list[Record] | Refused], error: str
    ) -> pd.DataFrame:
        """Returns a data frame with the user's columns, then the columns of the answers, then the column `error`.

        A row with several records is repeated for each of them, with the same index. A row without an answer appears
        once, with empty cells. For a failed record, the column `error` has the reason.
        If any row was cut, a column before `error` marks these rows.

        Args:
            columns: columns of the answers.
            answers: for each row its records, or the reason why it has none.
            error: name of the column of reasons.

        Raises:
            DataError: one of the user's columns has the name of a column that is to be added.
        """
        import pandas as pd

        answers = self.answered(answers)
        lines = [
            (number, *record, *(None,) * (len(columns) - len(record)), reason)
            for number, given in enumerate(answers)
            for record, reason in (
                [((), given.reason)] if isinstance(given, Refused) else [(record, _reason(record)) for record in given]
            )
        ]
        names = [*(column.name for column in columns), error]
        left = self.left
        check_names([str(name) for name in left.columns], names)
        right = pd.DataFrame(lines, columns=[_NUMBER, *names])
        numbers = right.pop(_NUMBER).to_numpy(dtype=int)
        if cut := set(rows_cut(answers)):
            right.insert(len(names) - 1, self.cut_name(names), [number in cut for number in numbers])
        theirs = left.iloc[numbers]
        return pd.concat([theirs, right.set_index(theirs.index)], axis=1)


def _reason(record: Record) -> str | None:
    return record.reason if isinstance(record, Failed) else None


def check_names(theirs: Sequence[str], ours: Sequence[str]) -> None:
    """Checks that none of the added columns has the name of a column of the user.

    Args:
        theirs: columns of the user.
        ours: columns that are to be added.

    Raises:
        DataError: a name is in both. The message contains it.
    """
    if taken := sorted({*theirs} & {*ours}):
        raise DataError(
            f"the data already has a column {taken[0]!r}, which the result needs",
            hint="rename it, or give the columns of the result another name with prefix=",
        )


def row_table(data: Any, reading: ReadColumns, encoding: str | None = None) -> RowTable:
    """Converts data of the user to rows.

    Args:
        data: one value or a list of values (if one column is read), a list of tuples (in the order of
            `reading.names`), a mapping, a list of mappings, a dict of columns, a DataFrame, an arrow table or a polars
            frame, or the path of a file. RDKit molecules are read as SMILES.
        reading: columns that are read.
        encoding: encoding of a text file. None: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        DataError: the data has another form, or lacks a column; or there is no such encoding, or the format of the file
            has none to choose. An empty cell raises no error here.
        ConfigError: an encoding is given, and the data are not a file.
    """
    index = own_index(data)
    data = read_data(data, encoding)
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        data, damaged = _without_reasons(data)
        names = list(data.columns)
        sources = reading.check([str(name) for name in names])
        read = {*reading.among(names), *sources.values()}
        check_distinct(name if name in read else "" for name in names)
        rows = reading.rows(partial(_records, data), names, sources)
        return RowTable(rows, data, damaged, index=index, sources=sources)
    if isinstance(data, str | Mapping) or not isinstance(data, Iterable):
        data = [data]
    items = data.tolist() if hasattr(data, "tolist") else list(data)
    rows = [plain_row(_row(item, number, reading.names)) for number, item in enumerate(items, start=1)]
    if items and isinstance(items[0], Mapping):
        sources = reading.check(sorted({str(name) for row in rows for name in row}))
        return RowTable(named_rows(rows, sources), index=index, shown=rows, sources=sources)
    return RowTable(rows, index=index)


def read_data(data: Any, encoding: str | None = None) -> Any:
    """Reads a file with its damaged records; other data in a form that `row_table` reads.

    Args:
        data: as for `row_table`.
        encoding: as for `row_table`.

    Raises:
        DataError: as for `row_table`.
        ConfigError: as for `row_table`.
    """
    if not is_path(data):
        if encoding is not None:
            raise ConfigError("encoding is for a file, and the data are not a file", hint="leave it out")
        return input_data(data)
    from mammal.tasks.tables.encodings import checked_encoding
    from mammal.tasks.tables.readers import file_format, read_table

    name = checked_encoding(encoding, file_format(data), data)
    return input_data(read_table(Path(data), keep_damaged=True, encoding=name or UTF_8))


def own_index(data: Any) -> Any:
    """The index that values come with, as those of a pandas Series do; None for a list or an array."""
    index = getattr(data, "index", None)
    return None if callable(index) else index


def with_targets(inputs: RowTable, targets: Any, columns: Sequence[str]) -> RowTable:
    """Adds a target to each row.

    Args:
        inputs: rows without targets.
        targets: one target for each row.
        columns: target columns of the task. There must be exactly one.

    Raises:
        DataError: the number of targets is not the number of rows, there are several target columns, or targets and
            rows have different indexes.
    """
    if len(columns) != 1:
        raise DataError(f"the task has {len(columns)} target columns: put the targets in the rows", where="targets")
    theirs, index = inputs.index, own_index(targets)
    targets = [targets] if isinstance(targets, str) else list(targets)
    if len(targets) != len(inputs.rows):
        raise DataError(f"{len(targets)} targets for {len(inputs.rows)} rows", where="targets")
    if index is not None and theirs is not None and list(index) != list(theirs):
        hint = "bring both in the same order, or pass list(targets) if they are"
        raise DataError("the index of the targets is not the index of the data", where="targets", hint=hint)
    shown = None if inputs.shown is None else _with_cells(inputs.shown, columns[0], targets)
    return replace(inputs, rows=_with_cells(inputs.rows, columns[0], targets), shown=shown)


def _with_cells(rows: Sequence[Mapping[str, Any]], column: str, cells: Sequence[Any]) -> list[Mapping[str, Any]]:
    return [{**row, column: value} for row, value in zip(rows, cells, strict=True)]


def _records(frame: pd.DataFrame, names: Sequence[Any]) -> list[Mapping[str, Any]]:
    return list(map(plain_row, frame[names].to_dict("records"))) if names else [{} for _ in range(len(frame))]


def _without_reasons(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[int, str]]:
    """A table of a file without the column `DAMAGED`, and its reasons by the position of the row."""
    if DAMAGED not in frame:
        return frame, {}
    reasons = {place: reason for place, reason in enumerate(frame[DAMAGED]) if isinstance(reason, str)}
    return frame.drop(columns=DAMAGED), reasons


def _row(item: Any, number: int, columns: Sequence[str]) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    values = list(item) if isinstance(item, tuple | list) else [item]
    if len(values) != len(columns):
        raise DataError(
            f"holds {len(values)} value{'s' * (len(values) != 1)}, but the task reads {_listed(columns)}",
            where=f"row {number}",
            hint="give mappings such as {" + ", ".join(f"{name!r}: …" for name in columns) + "}, or a frame",
        )
    return dict(zip(columns, values, strict=True))


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns) if columns else "no columns"

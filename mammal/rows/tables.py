"""Converts the user's data (values, rows, data frames, files) to rows, and answers to data frames.

pandas is imported only when a data frame is read or made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mammal.errors import ConfigError, DataError
from mammal.rows.answer_columns import ERROR, AnswerColumn, Record
from mammal.rows.batched import Refused
from mammal.rows.column_match import named_rows
from mammal.rows.cut_rows import cut_name, rows_cut
from mammal.rows.input_data import input_data, is_molecule, is_path, plain_cell, plain_rows
from mammal.tasks.tables.lines import DAMAGED, UTF_8, check_distinct

if TYPE_CHECKING:
    import pandas as pd

    from mammal.rows.read_columns import ReadColumns

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
        lines = _lines(answers, len(columns))
        names = [*(column.name for column in columns), error]
        left = self.left
        check_names([str(name) for name in left.columns], names)
        right = pd.DataFrame(lines, columns=[_NUMBER, *names])
        numbers = right.pop(_NUMBER).to_numpy(dtype=int)
        if cut := set(rows_cut(answers)):
            right.insert(len(names) - 1, self.cut_name(names), [number in cut for number in numbers])
        theirs = left.iloc[numbers]
        return pd.concat([theirs, right.set_index(theirs.index)], axis=1)

    def records(
        self, columns: Sequence[AnswerColumn], answers: Sequence[list[Record] | Refused], error: str
    ) -> list[dict[str, Any]]:
        """Returns the rows of `frame` as mappings, without making a data frame of the answers.

        Args:
            columns: as for `frame`.
            answers: as for `frame`.
            error: as for `frame`.
        """
        answers = self.answered(answers)
        names = [*(column.name for column in columns), error]
        left = self.shown or self.rows if self.original is None else self.original.to_dict("records")
        theirs = self.names
        cut = set(rows_cut(answers))
        marked = self.cut_name(names)
        found = []
        for number, *values, reason in _lines(answers, len(columns)):
            row = {name: left[number].get(name) for name in theirs}
            row |= dict(zip(names, values, strict=False))
            row |= {marked: number in cut} if cut else {}
            found.append({**row, error: reason})
        return found


def _lines(answers: Sequence[list[Record] | Refused], width: int) -> list[tuple[Any, ...]]:
    """For each record: the position of its row, the values of its columns, and why there are none."""
    return [
        (number, *record, *(None,) * (width - len(record)), reason)
        for number, given in enumerate(answers)
        for record, reason in (
            [((), given.reason)] if isinstance(given, Refused) else [(record, _reason(record)) for record in given]
        )
    ]


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
            frame, or the path or URL of a file. RDKit molecules are read as SMILES.
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
        data = data if index is None or data.index is index else data.set_axis(index)
        return RowTable(rows, data, damaged, index=index, sources=sources)
    if isinstance(data, str | Mapping) or not isinstance(data, Iterable):
        data = [data]
    items = data.tolist() if hasattr(data, "tolist") else list(data)
    rows = plain_rows([_row(item, number, reading.names) for number, item in enumerate(items, start=1)])
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
    from mammal.tasks.tables.remote import fetch, is_remote

    if not is_remote(data):
        return _read_file(Path(data), encoding)
    with TemporaryDirectory(prefix="mammal-") as folder:
        return _read_file(fetch(data, Path(folder)), encoding)


def _read_file(file: Path, encoding: str | None) -> Any:
    from mammal.tasks.tables.encodings import checked_encoding
    from mammal.tasks.tables.readers import file_format, read_table

    name = checked_encoding(encoding, file_format(file), file)
    return input_data(read_table(file, keep_damaged=True, encoding=name or UTF_8))


def own_index(data: Any) -> Any:
    """The index that values come with, as those of a pandas Series do; None for a list or an array.

    Args:
        data: as for `row_table`. A dict of columns has the index of its Series.

    Raises:
        DataError: two Series of a dict have different indexes.
    """
    if isinstance(data, Mapping):
        return _common_index(data)
    index = getattr(data, "index", None)
    return None if callable(index) else index


def _common_index(columns: Mapping[Any, Any]) -> Any:
    """The index of the Series in a dict of columns, None if it holds none."""
    indexes = {str(name): index for name, values in columns.items() if (index := own_index(values)) is not None}
    first = next(iter(indexes), "")
    for name, index in indexes.items():
        if list(index) != list(indexes[first]):
            hint = "bring both in the same order, or pass lists if they are"
            raise DataError(f"the columns {first!r} and {name!r} have different indexes", hint=hint)
    return indexes.get(first)


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
    alone = isinstance(targets, str) or is_molecule(targets)
    targets = [plain_cell(target) for target in ([targets] if alone else targets)]
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
    return plain_rows(frame[names].to_dict("records")) if names else [{} for _ in range(len(frame))]


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

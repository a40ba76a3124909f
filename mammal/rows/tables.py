"""What users hand over and get back: values, rows, frames and files in; frames out.

pandas is imported when a frame is met or made.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mammal.errors import DataError, did_you_mean
from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Refused

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".sdf", ".smi", ".fasta", ".fa", ".vcf", ".bcf")


@dataclass(frozen=True)
class ReadColumns:
    """Columns that are read.

    Attributes:
        names: as they are called here, in the order of values that come without names.
        aliases: what a file may call them instead.
        others: name -> columns that may stand in its place (the name of a molecule in place of its SMILES).
        beside: columns that are read where a table has them.
        molecules: names of columns that `names=` can stand in for.
        conditions: columns that rows steer generation by, and may lack -> the column each is computed from, if any.
        steered: whether something is asked for besides what rows ask.
        guided: whether what is asked for is to be followed more closely, so that something has to be.
    """

    names: Sequence[str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    beside: Sequence[str] = ()
    molecules: Collection[str] = ()
    conditions: Mapping[str, str | None] = field(default_factory=dict)
    steered: bool = False
    guided: bool = False

    @classmethod
    def of_task(cls, task: Task, *, target: bool = False) -> ReadColumns:
        """What a task reads; `target`: also what it is to predict."""
        names = [group[0] for group in task.needed] + [*(task.target_columns if target else ())]
        others = {
            group[0]: [*group[1:], *(task.fallbacks[column] for column in group if column in task.fallbacks)]
            for group in task.needed
        }
        beside = [*task.columns, *task.beside]
        read = {*names, *beside}
        aliases = {name: alias for name, alias in task.config.data.columns.items() if name in read}
        return cls(list(dict.fromkeys(names)), aliases, others, beside, conditions=task.steering.sources)

    def check(self, columns: Sequence[str]) -> None:
        """Refuses a table that lacks a column, and those that may stand in its place; warns of one without conditions.

        Raises:
            DataError: names it, and the nearest one that the table has; or a condition that is spelt another way; or
                there is nothing that guidance could follow.
        """
        for name in self.names:
            group = [name, *self.others.get(name, ())]
            aliases = list(dict.fromkeys(self.aliases.get(column, column) for column in group))
            if not any(column in columns for column in (*group, *aliases)):
                named = next(filter(_NAMES.fullmatch, columns), None) if name in self.molecules else None
                hint = f"names={named}" if named else did_you_mean(aliases[0], columns, noun="column")
                raise DataError(f"no column {' or '.join(map(repr, aliases))}", hint=hint)
        self._check_conditions(columns)

    def _check_conditions(self, columns: Sequence[str]) -> None:
        """Conditions may be left out, so a misspelt one would be passed over without a word."""
        given = {name for name in (*self.conditions, *self.conditions.values()) if name and self._held(name, columns)}
        read = self.among(columns)
        spare = {_spelling(column): column for column in columns if column not in read}
        for name in self.conditions:
            if name not in given and (close := get_close_matches(_spelling(name), spare, n=1, cutoff=_ALIKE)):
                column = spare[close[0]]
                what = f"column {column!r} is not the condition {name!r}, which would count as not asked for"
                raise DataError(what, hint=f"rename it, or columns={{{name}: {column}}}; leave it out if it is another")
        if not self.conditions or given or self.steered:
            return
        if self.guided:
            raise DataError("guidance has nothing to follow", hint=f"ask for one of {', '.join(self.conditions)}")
        if columns:
            told = "no column asks for anything: the task's conditions are %s, the table's columns %s"
            logger.warning(told, ", ".join(self.conditions), ", ".join(columns))

    def _held(self, name: str, columns: Sequence[str]) -> bool:
        """Whether a table has a column, under its own name or the one that a file may give it."""
        return name in columns or self.aliases.get(name) in columns

    def among(self, columns: Sequence[Any]) -> list[Any]:
        """The columns of a table that are read."""
        others = (column for group in self.others.values() for column in group)
        wanted = {*self.names, *self.beside, *others, *self.aliases.values()}
        return [name for name in columns if name in wanted]


_NAMES = re.compile(r"iupac([ _-]?names?)?", re.IGNORECASE)
"""What columns of systematic names are called."""

_ALIKE = 0.85
"""Likeness (difflib) from which on a column's name is taken for a misspelt condition."""

_NUMBER = "\0number"
"""Name of a working column, which no user's column has."""


class Failed(tuple[Any, ...]):
    """A record without an answer: the values of its first columns, as many as are known, and the reason."""

    reason: str

    def __new__(cls, record: Sequence[Any], reason: str) -> Self:
        made = super().__new__(cls, record)
        made.reason = reason
        return made


@dataclass(frozen=True)
class RowTable:
    """Rows, and the frame they came from.

    Attributes:
        rows: one mapping per row; of a frame, only the columns that are read.
        original: the frame, None where the user gave none.
    """

    rows: Sequence[Mapping[str, Any]]
    original: pd.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> list[str]:
        """Columns of the user's frame, or of the rows where there is none."""
        if self.original is not None:
            return [str(name) for name in self.original.columns]
        return list(dict.fromkeys(str(name) for row in self.rows for name in row))

    def frame(
        self, columns: Sequence[AnswerColumn], answers: Sequence[list[Record] | Refused], error: str
    ) -> pd.DataFrame:
        """The user's columns, then those of the answers, then `error`.

        A row with several records stands several times, under the same index; a refused row stands once, without any.
        A record that failed says in `error` why.

        Raises:
            DataError: the user's columns have a name that the answers need.
        """
        import pandas as pd

        lines = [
            (number, *record, *(None,) * (len(columns) - len(record)), reason)
            for number, given in enumerate(answers)
            for record, reason in (
                [((), given.reason)] if isinstance(given, Refused) else [(record, _reason(record)) for record in given]
            )
        ]
        names = [*(column.name for column in columns), error]
        left = pd.DataFrame(self.rows, index=range(len(self.rows))) if self.original is None else self.original
        check_names([str(name) for name in left.columns], names)
        right = pd.DataFrame(lines, columns=[_NUMBER, *names])
        theirs = left.iloc[right.pop(_NUMBER).to_numpy(dtype=int)]
        return pd.concat([theirs, right.set_index(theirs.index)], axis=1)


def _reason(record: Record) -> str | None:
    return record.reason if isinstance(record, Failed) else None


def check_names(theirs: Sequence[str], ours: Sequence[str]) -> None:
    """Refuses a table whose columns have a name that is to be added.

    Raises:
        DataError: names the column.
    """
    if taken := sorted({*theirs} & {*ours}):
        raise DataError(
            f"the data has a column {taken[0]!r} already, which the result needs",
            hint="rename it, or set the result's columns apart with prefix=",
        )


def table(data: Any, reading: ReadColumns) -> RowTable:
    """Rows of anything a user may hand over.

    Args:
        data: one value or a list of values (of the one column that is read), a list of tuples (in the order of
            `reading.names`), a mapping, a list of mappings, a DataFrame, or the path of a file.

    Raises:
        DataError: it is none of those, or lacks a column. A missing cell is no error here.
    """
    if is_path(data):
        from mammal.tasks.tables.readers import read_table

        data = read_table(Path(data))
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        names = list(data.columns)
        reading.check([str(name) for name in names])
        return RowTable(_records(data, reading.among(names)), data)
    if isinstance(data, str | Mapping) or not isinstance(data, Iterable):
        data = [data]
    items = data.tolist() if hasattr(data, "tolist") else list(data)
    rows = [_row(item, number, reading.names) for number, item in enumerate(items, start=1)]
    if items and isinstance(items[0], Mapping):
        reading.check(sorted({str(name) for row in rows for name in row}))
    return RowTable(rows)


def with_targets(inputs: RowTable, targets: Any, columns: Sequence[str]) -> RowTable:
    """Rows with a target for each, in the column where it is looked for.

    Raises:
        DataError: there are more or fewer targets than rows, or several columns for them.
    """
    if len(columns) != 1:
        raise DataError(f"the task has {len(columns)} target columns: give them in the rows", where="targets")
    targets = [targets] if isinstance(targets, str) else list(targets)
    if len(targets) != len(inputs.rows):
        raise DataError(f"{len(targets)} targets for {len(inputs.rows)} rows", where="targets")
    rows = [{**row, columns[0]: target} for row, target in zip(inputs.rows, targets, strict=True)]
    return RowTable(rows, inputs.original)


def _records(frame: pd.DataFrame, names: Sequence[Any]) -> list[Mapping[str, Any]]:
    return frame[names].to_dict("records") if names else [{} for _ in range(len(frame))]


def is_path(data: Any) -> bool:
    """A Path, or a string that ends like a table; any other string is a value."""
    if isinstance(data, os.PathLike):
        return True
    return isinstance(data, str) and data.lower().removesuffix(".gz").removesuffix(".bgz").endswith(TABLE_SUFFIXES)


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


def _spelling(name: str) -> str:
    """A name without case, blanks and signs."""
    return "".join(filter(str.isalnum, name.casefold()))


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns) if columns else "no columns"

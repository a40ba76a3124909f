"""Columns that several tasks read from one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

from mammal.errors import ConfigError, DataError
from mammal.rows.column_match import columns_of_each
from mammal.rows.read_columns import ReadColumns

if TYPE_CHECKING:
    from mammal.tasks.task import Task


@dataclass(frozen=True)
class ReadSeveral(ReadColumns):
    """Columns that several tasks read from one table, each as if it were the only task.

    Attributes:
        each: what every task reads, in the order of `tasks`.
        tasks: the tasks.
    """

    each: Sequence[ReadColumns] = ()
    tasks: Sequence[Task] = ()

    @classmethod
    def of(cls, each: Sequence[ReadColumns], tasks: Sequence[Task]) -> Self:
        """Returns the columns that all tasks together read.

        Args:
            each: what every task reads.
            tasks: the tasks, in the same order.
        """
        return cls(
            names=list(dict.fromkeys(chain.from_iterable(reading.names for reading in each))),
            aliases=_union(reading.aliases for reading in each),
            others=_union(reading.others for reading in each),
            beside=list(dict.fromkeys(chain.from_iterable(reading.beside for reading in each))),
            molecules={*chain.from_iterable(reading.molecules for reading in each)},
            conditions=_union(reading.conditions for reading in each),
            mapped=_union(reading.mapped for reading in each),
            also_named=_union(reading.also_named for reading in each),
            alphabets=_union(reading.alphabets for reading in each),
            each=each,
            tasks=tasks,
        )

    def with_mapping(self, task: object, columns: Mapping[str, str] | str | None) -> ReadColumns:
        """Returns the same columns, read from where a caller says.

        Args:
            task: not used: each task takes the columns that it has.
            columns: as for `mammal.rows.column_match.given_columns`.

        Raises:
            ConfigError: a column is one of no task.
        """
        given = columns_of_each(self.tasks, columns)
        every = zip(self.each, self.tasks, given, strict=True)
        mapped = [reading.with_mapping(own, its_columns) for reading, own, its_columns in every]
        return self.of(mapped, self.tasks)

    def from_names(self, column: str, names: str) -> ReadColumns:
        return self.of([reading.from_names(column, names) for reading in self.each], self.tasks)

    def check(self, columns: Sequence[str]) -> dict[str, str]:
        """Checks that a table has the columns that each task requires.

        Args:
            columns: columns of the table.

        Returns:
            Column as the tasks call it -> the column of the table that is read for it, where they differ.

        Raises:
            DataError: as for `ReadColumns.check`, with the name of the task; or two tasks would read different columns
                of the table under the same name.
        """
        found: dict[str, tuple[str, str]] = {}
        checked: list[tuple[ReadColumns, dict[str, str]]] = []
        for reading, task in zip(self.each, self.tasks, strict=True):
            known = next((sources for other, sources in checked if other == reading), None)
            sources = _checked(reading, columns, task.name) if known is None else known
            checked.append((reading, sources))
            for name in dict.fromkeys([*reading.names, *reading.beside, *sources]):
                theirs = sources.get(name, name)
                before, first = found.setdefault(name, (theirs, task.name))
                if before != theirs and {before, theirs} <= {*columns}:
                    what = f"as {name!r}, the task {first} reads column {before!r}, and {task.name} column {theirs!r}"
                    raise DataError(what, hint=f"columns={{{name}: {theirs}}} for both, or one run for each task")
        return _union(sources for _, sources in checked)

    def among(self, columns: Sequence[Any]) -> list[Any]:
        read = {name for reading in self.each for name in reading.among(columns)}
        return [name for name in columns if name in read]


def _checked(reading: ReadColumns, columns: Sequence[str], task: str) -> dict[str, str]:
    try:
        return reading.check(columns)
    except (DataError, ConfigError) as error:
        raise type(error)(error.what, where=f"task {task}", hint=error.hint) from None


def _union(mappings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All entries; of two with the same key the first one."""
    found: dict[str, Any] = {}
    for mapping in mappings:
        found = {**mapping, **found}
    return found

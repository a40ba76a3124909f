"""Columns that are read from the user's data: which a table must have, and under which names it may have them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from mammal.errors import ConfigError, DataError, did_you_mean
from mammal.rows.column_match import column_alphabets, given_columns, guessed_column, named_rows, spelling

if TYPE_CHECKING:
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

_NAMES = re.compile(r"iupac([ _-]?names?)?", re.IGNORECASE)
"""Usual titles of columns of systematic names."""

_ALIKE = 0.85
"""Smallest similarity (difflib) at which the name of a column counts as a misspelled condition."""


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
        also_named: the same for targets that are not read. A table without them is no error, a misspelled one is.
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
    also_named: Mapping[str, str] = field(default_factory=dict)
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
        mapped = {name: theirs for name, theirs in given.items() if name not in unread}
        return replace(self, mapped=mapped, also_named={name: given[name] for name in unread & given.keys()})

    def from_names(self, column: str, names: str) -> ReadColumns:
        """Returns the same columns, with a column of IUPAC names in place of a required column of molecules.

        Args:
            column: the column of molecules, which is still read if a table has it.
            names: the column of names.
        """
        columns = list(dict.fromkeys(names if name == column else name for name in self.names))
        return replace(self, names=columns, beside=[*self.beside, column])

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
        for name, theirs in self.also_named.items():
            if theirs not in columns and (close := get_close_matches(theirs, columns, n=1, cutoff=_ALIKE)):
                what = f"columns: {name} is {theirs!r}, which the table lacks (it is not read here)"
                raise DataError(what, hint=f"did you mean {close[0]}? Or leave it out")
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

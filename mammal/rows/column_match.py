"""Which column of a table holds what a task reads.

What the caller says (`columns=`) comes first, then what the task file says (`data.columns`), then the column of the
task's own name, then the only column whose name differs in case or is a usual name for the same thing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mammal.errors import ConfigError, did_you_mean
from mammal.tokenization.entities import ENTITIES

if TYPE_CHECKING:
    from mammal.tasks.task import Task

COMMON_NAMES = {
    "SMILES": (
        *(
            "smiles",
            "smi",
            "canonicalsmiles",
            "isomericsmiles",
            "stdsmiles",
            "standardizedsmiles",
            "standardisedsmiles",
        ),
        *("rdkitsmiles", "cleanedsmiles", "curatedsmiles", "molsmiles", "moleculesmiles", "drugsmiles", "ligandsmiles"),
        *("compoundsmiles", "smilesstring", "molecule", "mol", "romol", "rdmol", "structure", "isosmiles"),
    ),
    "AA": (
        *("sequence", "seq", "protein", "proteinsequence", "proteinseq", "peptide", "peptidesequence", "aasequence"),
        *("aaseq", "aminoacidsequence", "primarysequence", "fasta"),
    ),
    "DNA": ("sequence", "seq", "dna", "dnasequence", "dnaseq"),
}
"""Alphabet -> what tables often call a column written in it, as `spelling` gives it."""

_TOKENIZER = re.compile(r"<@TOKENIZER-TYPE=([A-Z_]+)[^>]*>|\{([^{}:]+)\}")


def spelling(name: str) -> str:
    """A name without case, blanks and signs."""
    return "".join(filter(str.isalnum, name.casefold()))


def column_alphabets(task: Task) -> dict[str, str]:
    """The alphabet (`SMILES`, `AA`, `DNA`) that each input column of a task is written in, where that is known.

    Args:
        task: whose prompt reads the columns.
    """
    found: dict[str, str] = {}
    if task.template.raw:
        alphabet = ""
        for tag in _TOKENIZER.finditer(task.config.prompt.input):
            alphabet = tag[1] or alphabet
            if tag[2]:
                found[tag[2]] = "SMILES" if tag[2] in task.molecules else alphabet
    for slot in task.template.slots:
        if slot.part == "input" and slot.kind in ("entity", "alphabet"):
            alphabet = ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name
            column = task.views[slot.column].identity if slot.column in task.views else slot.column
            found[column] = "SMILES" if column in task.molecules else alphabet
    return {column: alphabet for column, alphabet in found.items() if alphabet in COMMON_NAMES}


def given_columns(task: Task, columns: Mapping[str, str] | str | None) -> dict[str, str]:
    """What a caller says about columns, as a checked mapping.

    Args:
        task: that reads the columns.
        columns: `{column of the task: column of the table}`, or one column of the table if the task reads one.

    Returns:
        The mapping; empty if nothing was said.

    Raises:
        ConfigError: the task has no such column, or reads several and only one name was given.
    """
    if not columns:
        return {}
    if isinstance(columns, str):
        needed = [group[0] for group in task.needed]
        if len(needed) != 1:
            hint = "columns={" + ", ".join(f"{name}: COLUMN" for name in needed) + "}"
            what = (
                f"columns is one name, {columns!r}, and the task {task.name} reads {', '.join(needed) or 'no column'}"
            )
            raise ConfigError(what, hint=hint if needed else "leave it out")
        return {needed[0]: columns}
    if not isinstance(columns, Mapping):
        raise ConfigError(f"columns is {columns!r}", hint="{column of the task: column of your table}")
    known = _known(task)
    for name, theirs in columns.items():
        if name not in known:
            own = sorted({group[0] for group in task.needed} | {*task.conditions, *task.target_columns}) or sorted(
                known
            )
            hint = did_you_mean(str(name), own, noun="column of the task")
            if theirs in known:
                hint = f"{hint} It is columns={{COLUMN OF THE TASK: COLUMN OF YOUR TABLE}}: {{{theirs}: {name}}}?"
            raise ConfigError(f"columns: the task {task.name} has no column {name!r}", hint=hint)
        if not isinstance(theirs, str):
            raise ConfigError(f"columns: {name} is {theirs!r}, not the name of a column")
    return dict(columns)


def columns_of_each(
    tasks: Sequence[Task], columns: Mapping[str, str] | str | None
) -> list[Mapping[str, str] | str | None]:
    """Divides what a caller says about columns among several tasks: each gets the columns that it has.

    Args:
        tasks: that read the columns.
        columns: as for `given_columns`.

    Raises:
        ConfigError: a column is one of no task.
    """
    if not isinstance(columns, Mapping):
        return [columns] * len(tasks)
    known = [_known(task) for task in tasks]
    for name in columns:
        if not any(name in of_task for of_task in known):
            hint = did_you_mean(str(name), set().union(*known), noun="column of a task")
            raise ConfigError(f"columns: no task has a column {name!r}", hint=hint)
    return [{name: theirs for name, theirs in columns.items() if name in of_task} for of_task in known]


def _known(task: Task) -> set[str]:
    """What `columns=` may name: every column that the task reads or predicts, and the columns of its slots."""
    groups = (column for group in task.needed for column in group)
    slots = (key for slot in task.views.values() for key in (slot.column, *slot.keys, *slot.sources.values()))
    places = getattr(task, "fill_places", None) or {}
    return {*task.columns, *task.beside, *task.target_columns, *groups, *slots, *places.values()}


def guessed_column(
    wanted: Sequence[str], alphabet: str | None, columns: Sequence[str], taken: Collection[str]
) -> list[str]:
    """Columns of a table that can stand for one that it lacks: of a name that differs in case, or a common one.

    Args:
        wanted: names under which the column was looked for.
        alphabet: that it is written in; None: unknown, or several columns of the task are.
        columns: of the table.
        taken: those that are read as something else.
    """
    names = {spelling(name) for name in wanted} | set(COMMON_NAMES.get(alphabet or "", ()))
    return [column for column in columns if column not in taken and spelling(column) in names]


def named_rows(rows: Sequence[Mapping[str, Any]], sources: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    """Rows whose cells are also found under the names that the task gives them.

    Args:
        rows: with the columns of the table.
        sources: column of the task -> column of the table.
    """
    if not sources:
        return rows
    return [
        {**row, **{name: row[theirs] for name, theirs in sources.items() if theirs in row}}
        if isinstance(row, Mapping)
        else row
        for row in rows
    ]

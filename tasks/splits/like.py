"""Splits a table as another task is split: each molecule is in the part in which that task has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mammal.tasks.errors import TaskError
from mammal.tasks.splits.split import PARTS, Split, parts_of
from mammal.tasks.splits.table import Table, column_texts, why_left_out

LIKE = "like:"
"""Beginning of `data.split`; the name of a task follows."""


@dataclass(frozen=True)
class Homes:
    """The parts in which a task has its molecules.

    Attributes:
        task: name of the task.
        parts: SMILES without stereo marks and isotopes -> the last of train, valid and test that has the molecule.
        again: number of rows of valid or test with a molecule that an earlier part has, too.
    """

    task: str
    parts: Mapping[str, str] = field(default_factory=dict)
    again: int = 0


def homes_of(task: str, tables: Sequence[Table], split: Split) -> Homes:
    """Returns the parts of the molecules of a task.

    Args:
        task: name of the task.
        tables: the rows of the task, once for each way of standardising molecules that is compared.
        split: the parts of these rows.
    """
    parts: dict[str, str] = {}
    again = 0
    flat: dict[str, str | None] = {}
    each = [(table, column) for table in tables for column in table.asked() if column in table.frame.columns]
    forms = [_forms(table, column, flat) for table, column in each]
    for part in PARTS:
        rows = [{form for of_column in forms for form in of_column[row]} for row in split.parts[part].tolist()]
        again += sum(not parts.keys().isdisjoint(own) for own in rows)
        parts |= dict.fromkeys(set().union(*rows), part)
    return Homes(task, parts, again)


def like(table: Table, homes: Homes) -> Split:
    """Splits a table by the parts of another task.

    A row is in the last of train, valid and test that has one of its molecules. Stereoisomers and isotopologues count
    as one molecule. Rows of molecules that the other task lacks are in train. Rows without a molecule that RDKit can
    parse are left out.

    Args:
        table: the rows; `data.split` is `like:TASK`.
        homes: parts of the molecules of that task.

    Raises:
        TaskError: no molecule can be read or is in that task, or a part would be empty.
    """
    columns = table.asked()
    flat: dict[str, str | None] = {}
    forms = [_forms(table, column, flat) for column in columns]
    written = column_texts(table.frame, columns[0])
    found: list[str | None] = []
    left_out = []
    new = 0
    for row in range(len(table)):
        own = [form for of_column in forms for form in of_column[row]]
        known = {homes.parts[form] for form in own if form in homes.parts}
        new += bool(own) and not known
        found.append(max(known, key=PARTS.index) if known else "train" if own else None)
        if not own:
            left_out.append((row, why_left_out(written[row])))
    _check(table, found, left_out, new, homes)
    how = f"like {homes.task} by molecules of {', '.join(columns)}; rows of other molecules, in train: {new:,}"
    return Split(how, parts_of(found), left_out)


def _forms(table: Table, column: str, flat: dict[str, str | None]) -> list[set[str]]:
    """The molecule of each row as it is written and as the task standardises it, without stereo marks; or none.

    `flat` holds the SMILES that were read before, and gets those that are read here.
    """
    from mammal.tasks.molecules.chemistry import flat_or_none

    written = column_texts(table.frame, column)
    standard = table.texts(column)
    flat |= {text: flat_or_none(text) for text in {*written, *standard} - flat.keys() if text}
    return [
        {form for text in pair if text and (form := flat[text]) is not None}
        for pair in zip(written, standard, strict=True)
    ]


def _check(
    table: Table, found: Iterable[str | None], left_out: Sequence[tuple[int, str]], new: int, homes: Homes
) -> None:
    counts = Counter(found)
    names = ", ".join(table.asked())
    where = f"data.split={LIKE}{homes.task}"
    if len(left_out) == len(table):
        why = f": row 1: {left_out[0][1]}" if left_out else ""
        raise TaskError(
            f"no molecule of {names} can be read{why}", where=where, hint="data.split_on=COLUMN names another"
        )
    if new == len(table) - len(left_out):
        hint = "data.split=molecule keeps equal molecules together"
        raise TaskError(f"no molecule of {names} is in task {homes.task}", where=where, hint=hint)
    empty = [part for part in PARTS if not counts[part]]
    if not empty:
        return
    if empty[0] not in homes.parts.values():
        what = f"task {homes.task} has no molecule in {empty[0]} that is not in a later part, too"
        raise TaskError(what, where=where, hint="another task, or data.split=molecule")
    few = f"data.limit={table.data.limit} reads few rows: raise it" if table.data.limit else "a file with more rows"
    what = f"no molecule of {names} is in {empty[0]} of task {homes.task}"
    raise TaskError(what, where=where, hint=f"{few}, or another split")

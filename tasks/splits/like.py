"""Splits a table as another task is split: each molecule is in the part in which that task has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from mammal.tasks.errors import TaskError
from mammal.tasks.splits.split import PARTS, Split, parts_of
from mammal.tasks.splits.table import Table

LIKE = "like:"
"""Beginning of `data.split`; the name of a task follows."""


def parts_of_molecules(smiles: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Returns the part of each molecule, by its SMILES without stereo marks and isotopes.

    A molecule that is in several parts is in the last of train, valid and test that has it.

    Args:
        smiles: part -> SMILES of its rows; those that RDKit can't parse are ignored.
    """
    from mammal.tasks.molecules.chemistry import flat_or_none

    homes: dict[str, str] = {}
    for part in PARTS:
        flat = (flat_or_none(text) for text in smiles.get(part, ()) if text)
        homes |= {molecule: part for molecule in flat if molecule}
    return homes


def like(table: Table, homes: Mapping[str, str]) -> Split:
    """Splits a table by the parts of another task.

    Stereoisomers and isotopologues count as one molecule. Molecules that the other task lacks are in train. Rows that
    RDKit can't parse are left out.

    Args:
        table: the rows; `data.split` is `like:TASK`.
        homes: parts of the molecules of that task, of `parts_of_molecules`.

    Raises:
        TaskError: the two have no molecule in common, or one of valid and test would be empty.
    """
    from mammal.tasks.molecules.chemistry import flat_or_none, why_invalid

    name, column = table.data.split.removeprefix(LIKE), table.asked()[0]
    found: list[str | None] = []
    left_out = []
    new = 0
    for row, text in enumerate(table.texts(column)):
        molecule = flat_or_none(text) if text else None
        if molecule is None:
            left_out.append((row, f"invalid SMILES {text!r}: {why_invalid(text)}" if text else "empty cell"))
        new += molecule is not None and molecule not in homes
        found.append(homes.get(molecule, "train") if molecule else None)
    _check(found, new, name, column)
    how = f"like {name} by molecules of {column}, {new} rows of other molecules in train"
    return Split(how, parts_of(found), left_out)


def _check(found: Sequence[str | None], new: int, name: str, column: str) -> None:
    counts = Counter(found)
    if new == sum(counts[part] for part in PARTS):
        what = f"no molecule of column {column!r} is in task {name}"
        raise TaskError(what, where="data.split", hint="task.data.split=molecule keeps equal molecules together")
    missing = [part for part in PARTS[1:] if not counts[part]]
    if missing:
        what = f"no molecule of column {column!r} is in {' or '.join(missing)} of task {name}"
        raise TaskError(what, where="data.split", hint="name a task with more of these molecules, or another split")

"""Baselines for tasks that generate molecules from molecules, such as reactions.

unchanged   the largest molecule of the input, unchanged: shows what copying alone would give
commonest   the most common answers of the training rows, the same for every row: shows what chance alone would give
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mammal.tasks.baselines.baseline_features import column_kinds
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.kinds.generation import fills_in
from mammal.tasks.molecules.chemistry import normalised_or_none
from mammal.tasks.reactions.sets import main_molecule
from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.errors import MammalError

if TYPE_CHECKING:
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

UNCHANGED, COMMONEST = "unchanged", "commonest"


def unchanged(task: Task, train: Sequence[Row], test: Sequence[Row]) -> dict[str, list[Prediction]]:
    """Predicts the largest molecule of each test row's input.

    Args:
        task: the task.
        train: training rows; not used, but there must be some.
        test: test rows; those that the task can't read get a prediction with the error.

    Returns:
        Name of the baseline -> one prediction for each test row; empty if the baseline does not apply to the task.
    """
    column = _molecule_read(task)
    if column is None or not train:
        return {}
    said = []
    for number, row in enumerate(test):
        try:
            said.append(Prediction(number, text=main_molecule(task.inputs(row)[column])))
        except MammalError as error:
            said.append(Prediction(number, error=str(error)))
    return {UNCHANGED: said}


def commonest(task: Task, train: Sequence[Row], test: Sequence[Row]) -> dict[str, list[Prediction]]:
    """Predicts the most common answers of the training rows for every test row, the most common one first.

    Args:
        task: the task.
        train: training rows; those that the task can't read are left out.
        test: test rows; those that the task can't read get a prediction with the error.

    Returns:
        Name of the baseline -> one prediction for each test row; empty if the baseline does not apply to the task.
    """
    column = _molecule_read(task)
    if column is None:
        return {}
    counts: Counter[str] = Counter()
    for row in train:
        try:
            (text,) = task.prepare_target(row).values()
        except MammalError:
            continue
        counts[normalised_or_none(text) or text] += 1
    if not counts:
        return {}
    first, *others = (Prediction(None, text=text) for text, _ in counts.most_common(task.ranks))
    said = []
    for number, row in enumerate(test):
        try:
            task.inputs(row)
        except MammalError as error:
            said.append(Prediction(number, error=str(error)))
        else:
            said.append(Prediction(number, text=first.text, runners_up=tuple(others)))
    return {COMMONEST: said}


def _molecule_read(task: Task) -> str | None:
    """The input column, for tasks that read one column of molecules and generate SMILES; else None."""
    kinds = column_kinds(task)
    targets = [slot for slot in task.template.slots if slot.part == "target"]
    alphabets = [ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name for slot in targets]
    fits = task.family == "generation" and not fills_in(task) and not task.conditions and alphabets == ["SMILES"]
    return next(iter(kinds)) if fits and list(kinds.values()) == ["molecule"] else None

"""Checks that the parts of a split can be used: each needs rows, and rows of every class."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from mammal.errors import TrainingError
from mammal.tasks.errors import TaskError
from mammal.tasks.splits import PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mammal.tasks.kinds.classification import ClassificationTask
    from mammal.tasks.splits import Split
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

CLASSES_SHOWN = 5

_LOST = {"valid": "no best checkpoint, early stopping or calibration", "test": "no test figures"}
"""What is missing if a part has no rows."""


class SplitRows(Protocol):
    """The checked attributes of `mammal.evaluation.task_data.TaskData`, which can't be imported: it imports this."""

    @property
    def task(self) -> Task: ...

    @property
    def rows(self) -> Mapping[str, Sequence[Row]]: ...

    @property
    def split(self) -> Split: ...


def check_rows(data: SplitRows) -> None:
    """Refuses a split without training rows; logs a warning for other empty parts.

    Args:
        data: rows of a task, by part.

    Raises:
        TrainingError: train is empty.
    """
    how, name = data.split.how, data.task.name
    if not len(data.rows["train"]):
        what = f"the {how} split leaves no row to train on"
        raise TrainingError(what, where=f"task {name}", hint="look at task.data.split and task.data.fractions")
    for part, lost in _LOST.items():
        if not len(data.split.parts[part]):
            logger.warning("%s: the %s split leaves no %s row: %s", name, how, part, lost)


def check_classes(data: SplitRows) -> None:
    """Refuses a split if a declared class has no training row; logs a warning if a class is missing in valid or test.

    If only some training rows are used (`data.limit`), a missing class is only a warning.

    Args:
        data: rows of a task, by part.

    Raises:
        TaskError: the training rows lack a class.
    """
    from mammal.tasks.kinds.classification import ClassificationTask

    task = data.task
    if not isinstance(task, ClassificationTask):
        return
    for part in PARTS:
        absent = _absent(task, data, part)
        if not absent:
            continue
        more = f" and {len(absent) - CLASSES_SHOWN} more" if len(absent) > CLASSES_SHOWN else ""
        what = f"no {part} row has {', '.join(absent[:CLASSES_SHOWN])}{more}"
        if part == "train" and len(data.rows[part]) == len(data.split.parts[part]):
            hint = "split differently (task.data.stratify=true, task.data.split_seed), or remove it from labels"
            raise TaskError(what, where=f"task {task.name}", hint=hint)
        logger.warning("%s: %s, so %s", task.name, what, _consequence(part, len(task.labels)))


def _absent(task: ClassificationTask, data: SplitRows, part: str) -> list[str]:
    """Classes without a row in a part, for each target column that has any labels in it."""
    if not len(data.rows[part]):
        return []
    found = []
    indices_NK = task.truths(data.rows[part])
    for k, column in enumerate(task.target_columns):
        present = set(indices_NK[:, k].tolist()) - {-1}
        found += [f"{column}={label!r}" for i, label in enumerate(task.labels.labels) if present and i not in present]
    return found


def _consequence(part: str, classes: int) -> str:
    if part == "train":
        return "these rows can't teach it"
    undefined = "auroc, auprc and mcc are undefined" if classes == 2 else "means over classes leave it out"
    return f"{undefined} there" + (", and nothing is calibrated" if part == "valid" and classes == 2 else "")

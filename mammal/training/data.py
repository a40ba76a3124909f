"""One task's rows, ready to train on: loaded, split, fitted, encoded; rows that can't be read set aside with a reason."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.batching import encode_rows
from mammal.tasks.cells import Row
from mammal.tasks.example import Example
from mammal.tasks.task import Task
from mammal.training.errors import TrainingError

if TYPE_CHECKING:
    from mammal.tasks.splits import Split

logger = logging.getLogger(__name__)

PARTS = ("train", "valid", "test")


@dataclass
class TaskData:
    """Rows of one task by part.

    Attributes:
        task: fitted on the training rows.
        rows: by part, every row that the split put there.
        split: how the rows were split, with the hash that names exactly this split.
        set_aside: (part, row number in it, reason) of rows that can't be encoded.
    """

    task: Task
    rows: Mapping[str, Sequence[Row]]
    split: Split
    set_aside: list[tuple[str, int, str]] = field(default_factory=list)
    _examples: dict[str, list[Example]] = field(default_factory=dict, repr=False)
    _epoch: int = 0

    def examples(self, part: str) -> list[Example]:
        """Encoded rows of a part, targets included; encoded anew each epoch where a task varies what it shows."""
        varies = part == "train" and self.task.kind == "denoising" and self.task.epoch != self._epoch
        if part not in self._examples or varies:
            examples, errors = encode_rows(self.task, self.rows[part], target=True)
            if part not in self._examples:
                self.set_aside += [(part, int(str(row_id)), reason) for row_id, reason in errors]
            self._examples[part], self._epoch = examples, self.task.epoch
        return self._examples[part]

    def lengths_N(self, part: str) -> np.ndarray:
        """Encoder and decoder tokens of each encoded row."""
        return np.array([example.tokens for example in self.examples(part)], dtype=np.int64)

    def log_set_aside(self) -> None:
        if not self.set_aside:
            return
        part, row, reason = self.set_aside[0]
        count = f"{len(self.set_aside):,} of {sum(len(self.rows[part]) for part in self._examples):,}"
        logger.info("%s: %s rows set aside; the first is %s row %d: %s", self.task.name, count, part, row, reason)


def load_task_data(
    task: Task,
    paths: Mapping[str, object] | None = None,
    *,
    limit: int | None = None,
    valid_limit: int | None = None,
    overfit: bool = False,
    fit: bool = True,
) -> TaskData:
    """Load, split, fit and encode.

    Args:
        task: not fitted yet, unless `fit` is off.
        paths: `{"data": folder}` where data sets are looked for before anything is downloaded.
        limit: use this many training rows, evenly spread.
        valid_limit: the same for validation rows.
        overfit: validate on the training rows.

    Raises:
        DataError: the data can't be found or read, or a column is missing.
        TrainingError: no training row is left.
    """
    from mammal.tasks.data import load_data

    loaded = load_data(task.config, paths)
    bounds = {"train": limit, "valid": valid_limit, "test": None}
    rows = {part: _spread(loaded.rows(part), bound) for part, bound in bounds.items()}
    if overfit:
        rows["valid"] = rows["train"]
    if fit:
        task.fit(rows["train"])
    data = TaskData(task, rows, loaded.split)
    if not data.examples("train"):
        reason = data.set_aside[0][2] if data.set_aside else "its training part is empty"
        raise TrainingError("no training row is left", where=f"task {task.name}", hint=reason)
    data.examples("valid")
    data.log_set_aside()
    return data


def _spread(rows: list[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    """At most `limit` rows, evenly spread over the part."""
    if limit is None or len(rows) <= limit:
        return rows
    return [rows[i] for i in np.linspace(0, len(rows) - 1, limit).astype(np.int64)]

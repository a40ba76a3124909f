"""One task's rows, ready to train on: loaded, split, fitted, encoded; bad ones set aside with a reason."""

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
    rows: dict[str, Sequence[Row]]
    split: Split
    set_aside: list[tuple[str, int, str]] = field(default_factory=list)
    _examples: dict[str, list[Example]] = field(default_factory=dict, repr=False)
    _epoch: int = 0

    def examples(self, part: str) -> list[Example]:
        """Encoded rows of a part, targets included; encoded anew each epoch where a task varies what it shows."""
        again = part == "train" and self.task.kind == "denoising" and self.task.epoch != self._epoch
        if part not in self._examples or again:
            examples, errors = encode_rows(self.task, self.rows[part], target=True)
            if not again:
                self.set_aside += [(part, int(str(row_id)), reason) for row_id, reason in errors]
            self._examples[part] = examples
            self._epoch = self.task.epoch if part == "train" else self._epoch
        return self._examples[part]

    def lengths_N(self, part: str) -> np.ndarray:
        """Encoder and decoder tokens of each encoded row."""
        return np.array([example.tokens for example in self.examples(part)], dtype=np.int64)

    def prepare(self) -> None:
        """Fit the task on the training rows and encode what training reads.

        Raises:
            TaskError: the training rows can't be learned from (one class, equal numbers).
            TrainingError: none of them can be encoded.
        """
        self.task.fit(self.rows["train"])
        if not self.examples("train"):
            reason = self.set_aside[0][2] if self.set_aside else "its training part is empty"
            raise TrainingError("no training row is left", where=f"task {self.task.name}", hint=reason)
        self.examples("valid")
        if self.set_aside:
            part, row, reason = self.set_aside[0]
            count = f"{len(self.set_aside):,} of {sum(len(self.rows[part]) for part in self._examples):,}"
            logger.info("%s: %s rows set aside; the first is %s row %d: %s", self.task.name, count, part, row, reason)


def load_task_data(
    task: Task, paths: Mapping[str, object] | None = None, limits: Mapping[str, int | None] | None = None
) -> TaskData:
    """A task's rows, split as it declares.

    Args:
        paths: `{"data": folder}` where data sets are looked for before anything is downloaded.
        limits: keep at most so many rows of a part, evenly spread.

    Raises:
        DataError: the data can't be found or read, or a column is missing.
    """
    from mammal.tasks.data import load_data

    loaded = load_data(task.config, paths)
    return TaskData(task, {part: _spread(loaded.rows(part), (limits or {}).get(part)) for part in PARTS}, loaded.split)


def _spread(rows: list[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    """At most `limit` rows, evenly spread over the part."""
    if limit is None or len(rows) <= limit:
        return rows
    return [rows[i] for i in np.linspace(0, len(rows) - 1, limit).astype(np.int64)]

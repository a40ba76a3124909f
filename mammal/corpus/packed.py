"""Rows of a task that `mammal pack` has encoded, for training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mammal.corpus.arrays import PackedRows
from mammal.corpus.pack import MANIFEST, stamp_of
from mammal.errors import ConfigError, DataError
from mammal.evaluation.task_data import TaskData
from mammal.files import read_json
from mammal.tasks.batches.example import Example
from mammal.tasks.splits import PARTS, Split, SplitRecord
from mammal.tasks.tables.spread_rows import spread_rows
from mammal.tasks.task import Task


class PackedData(TaskData):
    """The packed rows of a task. It has encoded rows only, so metrics that read a row's columns are not computed.

    Args:
        task: the task; what it has fitted is restored from the pack.
        folder: folder of the pack.
        limits: name of a part -> at most this many rows of it, evenly spread; None: all.

    Raises:
        ConfigError: the pack was made from another declaration, or with another tokenizer.
        DataError: the pack is damaged.
    """

    def __init__(self, task: Task, folder: Path, limits: Mapping[str, int | None] | None = None):
        try:
            content = read_json(folder / MANIFEST)
            task.load_state(read_json(folder / "state.json"))
            summary = read_json(folder / "split.json")
        except (OSError, KeyError, json.JSONDecodeError) as error:
            raise DataError(f"is not a complete pack: {error}", where=str(folder), hint="mammal pack") from error
        for key, value in stamp_of(task).items():
            if content["stamp"][key] != value:
                hint = "make the pack again with mammal pack"
                raise ConfigError(f"the {key} differs from that of the pack", where=str(folder), hint=hint)
        self.views = int(content["stamp"]["views"])
        self.encoded = {part: int(content["encoded"].get(part, 0)) for part in PARTS}
        self.places = {part: spread_rows(count, (limits or {}).get(part)) for part, count in self.encoded.items()}
        self.folder = folder
        empty = {part: np.zeros(0, dtype=np.int64) for part in PARTS}
        split = Split(f"packed: {summary['how']}", empty)
        record = SplitRecord(split, sum(self.encoded.values()), [], content["stamp"]["data"])
        rows: dict[str, Sequence[Any]] = {part: [] for part in PARTS}
        super().__init__(task, rows, empty, record, [(part, row, reason) for part, row, reason in content["left_out"]])
        self._read: dict[tuple[str, int], Sequence[Example]] = {}

    def examples(self, part: str) -> Sequence[Example]:  # type: ignore[override]
        """Returns the rows of a part as this epoch of training shows them; they are read from disk when used.

        Args:
            part: name of the part.
        """
        view = self.task.epoch % self.views if part == "train" else 0
        if (part, view) not in self._read:
            if not self.encoded[part]:
                return []
            count = self.encoded[part]
            self._read = {key: rows for key, rows in self._read.items() if key[0] != part}
            self._read[part, view] = PackedRows(self.folder / part, view * count + self.places[part], count)
        rows = self._read[part, view]
        return _Changed(self.task, rows, None if part == "train" else 0) if self.task.changes_encoded else rows

    def lengths_N(self, part: str) -> np.ndarray:
        """Number of encoder and decoder tokens of each row, int64 [N]; for denoising, before spans are hidden."""
        rows = self.examples(part)
        return rows.lengths_N() if isinstance(rows, PackedRows | _Changed) else np.zeros(0, dtype=np.int64)

    def prepare(self) -> None:
        """Does nothing, because packed rows are encoded and the task is fitted."""

    def validate_on_train(self) -> None:
        """Is not possible with packed rows.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("data.overfit and data.packed exclude each other", hint="data.packed=null")


class _Changed(Sequence[Example]):
    """Packed rows with what the task changes again in each epoch."""

    def __init__(self, task: Task, rows: Sequence[Example], epoch: int | None):
        self.task, self.rows, self.epoch = task, rows, epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return self.task.changed(self.rows[index], self.task.epoch if self.epoch is None else self.epoch)

    def lengths_N(self) -> np.ndarray:
        assert isinstance(self.rows, PackedRows)
        return self.rows.lengths_N()

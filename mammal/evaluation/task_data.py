"""Prepares the rows of one task for training: loads, splits and encodes them; unusable rows are recorded with a reason.

A run saves what was done with the rows: `splits.json` (how each task was split, hash, sizes, leaks),
`splits/TASK.json.gz` (every row number, from 0; `data.split_file` can read it), and `set_aside.csv` (rows that are not
used, with their numbers from 1).
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal import console
from mammal.errors import DataError, TrainingError
from mammal.evaluation.coverage import check_classes, check_rows
from mammal.rows.input_data import input_data
from mammal.rows.read_columns import ReadColumns
from mammal.tasks.batches.example import Example
from mammal.tasks.batches.token_batches import encode_rows
from mammal.tasks.splits import PARTS, Split, SplitRecord
from mammal.tasks.tables.cells import Row
from mammal.tasks.tables.spread_rows import spread_rows
from mammal.tasks.task import Task

if TYPE_CHECKING:
    import pandas as pd

    from mammal.evaluation.pretraining_leaks import SeenRows
    from mammal.tasks.data import SplitData

logger = logging.getLogger(__name__)

OWN = "own"
"""Name of the part for rows that the user provides."""

_PART = "part of an evaluation"
"""Column that distinguishes the user's rows from training rows while both are in one table."""

LEFT_OUT = "left out"
"""Recorded instead of a part for rows that the split puts in no part."""


@dataclass
class TaskData:
    """Rows of one task, by part.

    Attributes:
        task: the task; `prepare` fits it on the training rows.
        rows: name of a part -> the rows of it that are used.
        numbers: name of a part -> row numbers of those rows in the table, from 0, int64.
        record: how the rows were split, the hash that identifies this split, and the rows that are in several parts.
        set_aside: (part, row number in the table, reason) for rows that the split left out or that can't be encoded.
        pretraining: name of a part -> how many of its rows the model was pretrained on, if that was counted.
    """

    task: Task
    rows: dict[str, Sequence[Row]]
    numbers: dict[str, np.ndarray]
    record: SplitRecord
    set_aside: list[tuple[str, int, str]] = field(default_factory=list)
    pretraining: dict[str, SeenRows] = field(default_factory=dict)
    _examples: dict[str, list[Example]] = field(default_factory=dict, repr=False)
    _epoch: int = 0

    @property
    def split(self) -> Split:
        """All row numbers of every part, also those that a limit excludes, and the hash."""
        return self.record.split

    def row_numbers(self, part: str) -> list[int]:
        """Number of each row of a part, counted from 1: its row in the table, or, if the prompt reads no column, the
        number of the sampled sequence.

        Args:
            part: name of the part.
        """
        if not self.task.columns:
            return list(range(1, len(self.rows[part]) + 1))
        return [int(number) + 1 for number in self.numbers[part]]

    def validate_on_train(self) -> None:
        """Validates on the training rows, to see whether the model can memorize them."""
        self.rows["valid"], self.numbers["valid"] = self.rows["train"], self.numbers["train"]

    def examples(self, part: str) -> list[Example]:
        """Encodes the rows of a part, with their targets.

        Training rows are encoded again in each epoch if the task varies its prompts.

        Args:
            part: name of the part.

        Returns:
            One example for each row that can be encoded; the others are added to `set_aside`.
        """
        if part not in self._examples:
            examples, errors = encode_rows(self.task, self.rows[part], target=True, judged=part != "train")
            self.set_aside += [(part, int(self.numbers[part][int(str(at))]), reason) for at, reason in errors]
            self._examples[part] = self._drawn(examples) if part == "train" and self.task.draws else examples
            self._epoch = self.task.epoch if part == "train" else self._epoch
        elif part == "train" and self.task.varies and self.task.epoch != self._epoch:
            self._examples[part] = self._drawn(self._examples[part])
            self._epoch = self.task.epoch
        return self._examples[part]

    def _drawn(self, examples: Sequence[Example]) -> list[Example]:
        """The training rows as this epoch shows them, with sampled views.

        If a row can't be encoded with its sampled view, its default view is used. So every epoch has the same rows, and
        a resumed run has the same rows as an uninterrupted one.
        """
        numbers = [int(str(example.row_id)) for example in examples]
        rows = self.rows["train"]
        found, errors = encode_rows(self.task, [rows[n] for n in numbers], numbers, target=True, drawn=True)
        failed = [int(str(number)) for number, _ in errors]
        in_default_view, _ = encode_rows(self.task, [rows[n] for n in failed], failed, target=True)
        return sorted([*found, *in_default_view], key=lambda example: int(str(example.row_id)))

    def lengths_N(self, part: str) -> np.ndarray:
        """Number of encoder and decoder tokens of each encoded row, int64 [N]."""
        return np.array([example.tokens for example in self.examples(part)], dtype=np.int64)

    def compute_features(self) -> float:
        """Computes the slow features of train and valid rows, with a progress line. `prepare` finds them computed.

        Returns:
            The seconds that this took.
        """
        begun = time.monotonic()
        for feature, texts in self.task.feature_texts([*self.rows["train"], *self.rows["valid"]]):
            with console.Progress(feature.name, total=len(set(texts)), unit="molecules") as progress:
                feature.compute(texts, progress.advance)
        return time.monotonic() - begun

    def prepare(self) -> None:
        """Fits the task on the training rows and encodes the rows of train and valid.

        Raises:
            TaskError: the training rows have only one class or only equal numbers, or a class is missing.
            TrainingError: there are no training rows, or none of them can be encoded.
        """
        check_rows(self)
        check_classes(self)
        self.task.fit(self.rows["train"])
        if not self.examples("train"):
            reason = next(reason for part, _, reason in self.set_aside if part == "train")
            raise TrainingError("no training row is left", where=f"task {self.task.name}", hint=reason)
        self.examples("valid")
        bad = [row for row in self.set_aside if row[0] != LEFT_OUT]
        if bad:
            (part, number, reason), name = bad[0], self.task.name
            count = f"{len(bad):,} of {sum(len(self.rows[part]) for part in self._examples):,}"
            logger.info("%s: %s rows left out; the first is row %d (%s): %s", name, count, number + 1, part, reason)


def load_task_data(
    task: Task, paths: Mapping[str, object] | None = None, limits: Mapping[str, int | None] | None = None
) -> TaskData:
    """Loads the rows of a task and splits them as the task declares.

    Args:
        task: a task with declared data.
        paths: `{"data": folder}`: folder in which data sets are searched before anything is downloaded.
        limits: name of a part -> at most this many rows of it, evenly spread; None: all.

    Raises:
        DataError: the data can't be found or read, or a column is missing.
    """
    from mammal.tasks.data import load_data

    loaded = load_data(task.config, paths)
    whole = loaded.split.parts
    numbers = {part: whole[part][spread_rows(len(whole[part]), (limits or {}).get(part))] for part in PARTS}
    rows: dict[str, Sequence[Row]] = {part: _records(loaded.frame, numbers[part]) for part in PARTS}
    left_out = [(LEFT_OUT, row, reason) for row, reason in loaded.split.left_out]
    return TaskData(task, rows, numbers, loaded.record, left_out)


def load_own_rows(
    task: Task,
    given: Any,
    paths: Mapping[str, object] | None = None,
    *,
    limit: int | None = None,
    with_train: bool = True,
    encoding: str | None = None,
) -> TaskData:
    """Loads labelled rows of the user as part `own`, and the task's own training and validation rows.

    Args:
        task: a fitted task.
        given: a data frame, a list of mappings, or a file. Columns are named as in the task or in its data file.
        paths: `{"data": folder}`: folder in which data sets are searched before anything is downloaded.
        limit: keep at most this many of the rows, evenly spread; None: all.
        with_train: also load the training rows, and the validation rows on which settings of baselines are chosen. The
            user's rows that are among the training rows are then counted as leaks. If the model was fitted on the rows
            of all parts, all of them are training rows.
        encoding: encoding of `given`, if that is a text file; None: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        DataError: the table can't be read, has no rows, or lacks a column; or the training rows can't be loaded.
    """
    import pandas as pd

    from mammal.tasks.data import divide
    from mammal.tasks.declaration.registry import load_task
    from mammal.tasks.probes.task_probes import ALL
    from mammal.tasks.prompts.table_columns import named_config, with_task_columns

    own = with_task_columns(_with_meant_columns(_table(given, encoding), task), task.config)
    own = own.iloc[spread_rows(len(own), limit)]
    whole = _with_training_rows(task, paths) if with_train else None
    every = task.probes is not None and task.probes.fitted_on == ALL
    train = own.iloc[:0] if whole is None else pd.concat([whole.part(part) for part in (PARTS if every else PARTS[:1])])
    train = train.drop(
        columns=[target for target in task.target_columns if target not in own], errors="ignore"
    )  # computed in all rows
    homes = [train.assign(**{_PART: "train"}), own.assign(**{_PART: "test"})]
    together = pd.concat([frame for frame in homes if len(frame)], ignore_index=True)
    given_split = {"split": "given", "split_column": _PART, "split_file": None, "valid_share": 0.0, "leakage": "report"}
    loaded = divide(together, load_task(named_config(task.config), {"data": given_split}))
    numbers = {"train": loaded.split.parts["train"], OWN: loaded.split.parts["test"]}
    rows: dict[str, Sequence[Row]] = {part: _records(loaded.frame, numbers[part]) for part in numbers}
    first = len(together) - len(own)
    numbers[OWN] = own.index.to_numpy(dtype=np.int64)[numbers[OWN] - first]  # as in the table that was given
    if whole is not None:
        numbers["valid"] = whole.split.parts["valid"][: 0 if every else None]  # those of `train` choose no settings
        rows["valid"] = whole.frame.iloc[numbers["valid"]].to_dict("records")
    leakage = {OWN + key.removeprefix("test"): n for key, n in loaded.leakage.items() if key.startswith("test")}
    if leaking := leakage.get(OWN):
        logger.warning("%s: %d of your own rows have the inputs of a training row", task.name, leaking)
    split = replace(loaded.split, how="none: rows of your own")
    return TaskData(task, rows, numbers, replace(loaded.record, split=split, leakage=leakage))


def _with_training_rows(task: Task, paths: Mapping[str, object] | None) -> SplitData:
    """The task's own rows.

    Raises:
        DataError: they can't be loaded; the hint says how to evaluate without them.
    """
    from mammal.tasks.data import load_data

    try:
        return load_data(task.config, paths)
    except DataError as error:
        without = "baselines=false neighbours=false evaluate your rows without training rows"
        hint = f"{error.hint}; {without}" if error.hint else without
        raise DataError(error.what, where=error.where, hint=hint) from error


def _table(given: Any, encoding: str | None) -> pd.DataFrame:
    """The user's rows as a data frame."""
    import pandas as pd

    from mammal.tasks.sources.file import read_declared
    from mammal.tasks.tables.readers import existing_file

    from_file = isinstance(given, str | os.PathLike)
    if from_file:
        frame = read_declared(existing_file(Path(given).expanduser()), encoding=encoding)
    elif encoding is not None:
        raise DataError("encoding is for a file, and the data are not a file", hint="leave it out")
    else:
        frame = pd.DataFrame(input_data(given))
    if not len(frame):
        raise DataError("the table has no rows", where=str(given) if from_file else "data")
    return frame.rename(columns=str).reset_index(drop=True)


def _with_meant_columns(frame: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The table with the task's name for each input column that was found by a similar or usual name.

    Raises:
        DataError: a column is missing, or several can be meant.
    """
    sources = ReadColumns.of_task(task).check(list(frame.columns))
    declared = task.config.data.columns
    return frame.rename(columns={theirs: name for name, theirs in sources.items() if declared.get(name) != theirs})


def _records(frame: Any, numbers: np.ndarray) -> list[dict[str, Any]]:
    return frame.iloc[numbers].to_dict("records")


def save_splits(data: Mapping[str, TaskData], output: Path) -> None:
    """Writes into the folder of a run which part each row belongs to, and which rows are not used.

    Args:
        data: rows by name of their task.
        output: folder of the run.
    """
    summary = {}
    for name, d in data.items():
        file = Path("splits") / f"{name}.json.gz"
        d.record.save(output / file)
        summary[name] = {**d.record.summary(), "file": str(file)}
    (output / "splits.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    bad = [(name, part, row + 1, reason) for name, d in data.items() for part, row, reason in d.set_aside]
    if bad:
        import pandas as pd

        pd.DataFrame(bad, columns=["task", "part", "row", "reason"]).to_csv(output / "set_aside.csv", index=False)

"""The rows of a task as the checks see them: standardised inputs, comparable keys, labels, and the part of each row.

Unlike training, nothing stops at a fault here: a row that can't be read keeps its reason, and a file without the column
of the declared split is checked as one part.

Shapes: N rows, K target columns.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.errors import DataError, MammalError, TaskError
from mammal.tasks.baselines.baseline_features import column_kinds
from mammal.tasks.prompts.columns import equal_sides
from mammal.tasks.splits.split import PARTS, SPLIT_COLUMN
from mammal.tasks.tables.cells import Row, as_text, is_missing
from mammal.tasks.tables.spread_rows import spread_rows

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tasks.splits import SplitRecord
    from mammal.tasks.task import Task

HELD_OUT = ("valid", "test")
SEQUENCES = ("protein", "dna", "sequence")


@dataclass
class CheckedData:
    """Rows of one task.

    Attributes:
        task: the task.
        frame: every row, with the column names of the task.
        record: how the rows were split. None: the declared split is not possible for this table.
        no_split: why the declared split is not possible; "" if it is.
        damaged: row -> why the reader could not read it.
        origin: returns the file of a row, and its number in this file, from 1.
        source: what was checked: files or a data set.
        inputs: the standardised input cells of each row by column; None for a row that can't be read.
        unreadable: row -> why its input can't be read.
    """

    task: Task
    frame: pd.DataFrame
    record: SplitRecord | None
    no_split: str
    damaged: Mapping[int, str]
    origin: Callable[[int], tuple[str, int]]
    source: str
    inputs: list[dict[str, str] | None] = field(default_factory=list)
    unreadable: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            reason = self.damaged.get(number)
            try:
                self.inputs.append(None if reason else self.task.inputs(row))
            except MammalError as error:
                self.inputs.append(None)
                reason = str(error)
            if reason:
                self.unreadable[number] = reason

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def rows(self) -> list[Row]:
        return self.frame.to_dict("records")

    @cached_property
    def part_N(self) -> np.ndarray:
        """Part of each row, "" for rows in no part. Without a split, every row is a training row."""
        parts_N = np.full(len(self), "" if self.record else "train", dtype=object)
        for part in PARTS if self.record else ():
            parts_N[self.record.split.parts[part]] = part  # type: ignore[union-attr]
        return parts_N

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Input column -> `molecule`, `protein`, `dna`, `sequence`, `number` or `words`."""
        return column_kinds(self.task)

    @cached_property
    def entities(self) -> list[str]:
        """Input columns with molecules or sequences."""
        return [c for c, kind in self.kinds.items() if kind == "molecule" or kind in SEQUENCES]

    @cached_property
    def molecule_keys(self) -> dict[str, str]:
        """Standardised SMILES -> standard InChIKey. A molecule without an InChIKey is its own key."""
        from mammal.tasks.molecules.chemistry import inchikey_or_none

        columns = [column for column, kind in self.kinds.items() if kind == "molecule"]
        texts = {row[column] for row in self.inputs if row for column in columns if column in row}
        return {text: inchikey_or_none(text) or text for text in sorted(texts)}

    def column_keys(self, column: str, *, connectivity: bool = False) -> list[str]:
        """Returns what each cell of a column is compared by; "" for a row that can't be read.

        Args:
            column: an input column.
            connectivity: for molecules: only the first block of the InChIKey, without stereo and isotopes.
        """
        keys = []
        for row in self.inputs:
            text = (row or {}).get(column, "")
            key = self.molecule_keys.get(text, text) if self.kinds.get(column) == "molecule" else text
            keys.append(key.partition("-")[0] if connectivity and len(key) == 27 else key)
        return keys

    def keys(self, *, connectivity: bool = False) -> list[Hashable]:
        """Returns what rows are compared by: all input columns together; None for a row that can't be read.

        In a symmetric pair both orders are the same.
        """
        columns = [self.column_keys(column, connectivity=connectivity) for column in self.kinds]
        ordered = equal_sides(self.task.template) is None
        found: list[Hashable] = []
        for number, cells in enumerate(zip(*columns, strict=True)):
            key = cells if ordered else tuple(sorted(cells))
            found.append(None if self.inputs[number] is None or not any(cells) else key)
        return found or [None] * len(self)

    @cached_property
    def text_N(self) -> np.ndarray:
        """All input cells of each row as they are written, for exact comparison."""
        columns = [c for c in self.kinds if c in self.frame]
        cells = [["" if is_missing(v) else as_text(v) for v in self.frame[c].tolist()] for c in columns]
        return np.array(["\t".join(row) for row in zip(*cells, strict=True)] or [""] * len(self), dtype=object)

    def shown(self, row: int, columns: Sequence[str] = ()) -> dict[str, str]:
        """Returns cells of a row as text: those of the columns, by default the inputs and targets."""
        wanted = columns or [*self.kinds, *self.task.target_columns]
        cells = {column: self.rows[row].get(column) for column in wanted if column in self.frame}
        return {column: "" if is_missing(value) else as_text(value) for column, value in cells.items()}


def load_checked(
    task: Task, given: Any = None, paths: Mapping[str, object] | None = None, limit: int | None = None
) -> CheckedData:
    """Reads the rows of a task, or of a table in its place, and splits them as the task declares.

    Args:
        task: the task.
        given: a file, a data frame or a list of mappings that is checked as the data of the task. None: the declared
            data.
        paths: `{"data": folder of local copies}`.
        limit: maximum number of rows, evenly spread. None: all.

    Raises:
        DataError: the data can't be read, or lack a column of the task.
        TaskError: no table is given, and the task declares no data.
    """
    from mammal.tasks.prompts.table_columns import check_columns, with_task_columns

    config = _checked_config(task.config, given)
    check_columns(config)
    frame, damaged, origin, source = _read(config, given, paths)
    if limit is not None and len(frame) > limit:
        kept_N = spread_rows(len(frame), limit)
        frame, places = frame.iloc[kept_N].reset_index(drop=True), {int(row): n for n, row in enumerate(kept_N)}
        damaged = {places[row]: why for row, why in damaged.items() if row in places}
        whole, origin = origin, lambda row: whole(int(kept_N[row]))
    named = with_task_columns(frame, config)
    record, why = _split(frame, config, paths)
    return CheckedData(task, named, record, why, damaged, origin, source)


def _checked_config(config: TaskConfig, given: Any) -> TaskConfig:
    """The declaration with the given file as its data. Leaks and repeats are reported whatever it says about them.

    Raises:
        TaskError: nothing is given, and the task declares no data.
    """
    data = replace(config.data, leakage="report", deduplicate=False)
    if given is not None:
        data = replace(data, source="file", path=None, files={}, name=None, split_file=None)
    if isinstance(given, str | os.PathLike):
        data = replace(data, path=str(Path(given).expanduser()))
    if given is None and data.source == "file" and not data.path and not data.files:
        hint = f"mammal check-data FILE task={config.name}"
        raise TaskError("the task declares no data, and no file is given", where=f"task {config.name}", hint=hint)
    return replace(config, data=data)


def _split(
    frame: pd.DataFrame, config: TaskConfig, paths: Mapping[str, object] | None
) -> tuple[SplitRecord | None, str]:
    """The split of the rows; None, and the reason, if the declared split is not possible."""
    from mammal.tasks.data import divide

    try:
        return divide(frame, config, paths).record, ""
    except (DataError, TaskError) as error:
        return None, str(error)


Origin = Callable[[int], tuple[str, int]]


def _read(
    config: TaskConfig, given: Any, paths: Mapping[str, object] | None
) -> tuple[pd.DataFrame, dict[int, str], Origin, str]:
    """The table, the reasons of damaged rows, where each row comes from, and what was read."""
    import pandas as pd

    from mammal.rows.input_data import input_data
    from mammal.tasks.data import load_dataset

    data = config.data
    if data.path or data.files:
        frame, damaged, origin = _read_files(config, paths)
        return frame, damaged, origin, ", ".join(map(str, [data.path] if data.path else data.files.values()))
    if given is not None:
        frame = pd.DataFrame(input_data(given)).rename(columns=str).reset_index(drop=True)
        if not len(frame):
            raise DataError("the table has no rows", where="data")
        return frame, {}, lambda row: ("data", row + 1), "the given table"
    name = f"{data.source} {data.name or ''}".strip()
    return load_dataset(data, paths), {}, lambda row: (name, row + 1), name


def _read_files(config: TaskConfig, paths: Mapping[str, object] | None) -> tuple[pd.DataFrame, dict[int, str], Origin]:
    import pandas as pd

    from mammal.tasks.sources.local import data_root, find_file
    from mammal.tasks.tables.encodings import checked_encoding
    from mammal.tasks.tables.lines import DAMAGED, UTF_8
    from mammal.tasks.tables.readers import file_format, read_table

    data, frames, starts = config.data, [], [0]
    listed = {"": data.path} if data.path else dict(data.files)
    for part, path in listed.items():
        file = find_file(str(path), data_root(paths))
        encoding = checked_encoding(data.encoding, file_format(file), file) or UTF_8
        frame = read_table(file, limit=data.limit, encoding=encoding, keep_damaged=True)
        frames.append(frame.assign(**{SPLIT_COLUMN: part}) if part else frame)
        starts.append(starts[-1] + len(frame))
    whole = pd.concat(frames, ignore_index=True)
    if not len(whole):
        raise DataError("the data has no rows", where=", ".join(map(str, listed.values())))
    reasons = whole[DAMAGED].tolist() if DAMAGED in whole else []
    damaged = {row: reason for row, reason in enumerate(reasons) if isinstance(reason, str)}
    names = [Path(str(path)).name for path in listed.values()]

    def origin(row: int) -> tuple[str, int]:
        place = int(np.searchsorted(starts, row, side="right")) - 1
        return names[place], row - starts[place] + 1

    return whole.drop(columns=DAMAGED, errors="ignore"), damaged, origin


def cell_or_none(row: Row, column: str) -> Any:
    """The cell of a row, None if it is missing."""
    value = row.get(column)
    return None if is_missing(value) else value

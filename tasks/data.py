"""A task's rows: read from its source, checked, divided."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mammal.tasks.cells import missing_column
from mammal.tasks.columns import prompt_columns
from mammal.tasks.errors import DataError
from mammal.tasks.schema import DataConfig, TaskConfig
from mammal.tasks.sources.local import data_root
from mammal.tasks.splits import Split, leakage, split_frame

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitData:
    """The rows of a task, divided.

    Attributes:
        frame: every row, numbered from 0.
        split: row numbers of each part, the hash, and the rows left out.
        leakage: rows of test and valid that train holds too (`mammal.tasks.splits.leakage`).
    """

    frame: pd.DataFrame
    split: Split
    leakage: dict[str, int]

    def part(self, name: str) -> pd.DataFrame:
        """Rows of `train`, `valid` or `test`; the index is their row number in `frame`."""
        return self.frame.iloc[self.split.parts[name]]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The same as mappings."""
        return self.part(name).to_dict("records")


def load_dataset(data: DataConfig, paths: Mapping[str, object] | None = None) -> pd.DataFrame:
    """All rows of a declared source.

    Args:
        data: the `data` block of a task.
        paths: `{"data": folder of local copies}`; default: what `MAMMAL_DATA` names.

    Raises:
        DataError: it can't be had or read.
    """
    source = import_module(f"mammal.tasks.sources.{data.source}")
    frame = source.load(data, data_root(paths)).reset_index(drop=True)
    if not len(frame):
        raise DataError("the data has no rows", where=f"source {data.source} {data.name or data.path or ''}".strip())
    return frame


def load_data(config: TaskConfig, paths: Mapping[str, object] | None = None) -> SplitData:
    """A task's rows, divided as it declares, with the leakage between the parts.

    Raises:
        DataError, TaskError: no data, a missing column, or a split that leaves train without rows.
    """
    frame = load_dataset(config.data, paths)
    columns = prompt_columns(config)
    for column, name in config.data.columns.items():
        if column not in frame.columns and name in frame.columns:
            frame = frame.rename(columns={name: column})
    for column in columns.every:
        if column not in frame.columns:
            raise missing_column(config.data.columns.get(column, column), list(frame.columns))
    on = columns.molecules if config.data.split != "cluster" else columns.sequences
    split = split_frame(frame, config.data, on[0] if on else None)
    if not len(split.parts["train"]):
        raise DataError(f"the {split.how} split leaves no row to train on", where=f"task {config.name}")
    shared = leakage(frame, split, columns.inputs, columns.molecules)
    sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in split.parts.items())
    logger.info("%s: %s rows (%s; split %s)", config.name, f"{len(frame):,}", sizes, split.how)
    if shared.get("test"):
        logger.warning("%s: %d test rows have the inputs of a training row", config.name, shared["test"])
    return SplitData(frame, split, shared)

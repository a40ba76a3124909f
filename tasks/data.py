"""Loading of a task's rows: reading from the source, checks of the columns, and the split."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mammal.tasks.declaration.data_config import READ_PATH
from mammal.tasks.declaration.schema import DataConfig, TaskConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.prompts.columns import PromptColumns, equal_sides, prompt_columns
from mammal.tasks.sources.local import data_root, find_file
from mammal.tasks.splits import Split, SplitRecord, load_split, split_frame
from mammal.tasks.splits.leaks import (
    Keys,
    count_known,
    count_leaks,
    count_repeats,
    input_keys,
    whole_inputs,
    without_leaks,
)
from mammal.tasks.splits.saved import content_digest
from mammal.tasks.splits.table import column_texts, label_texts
from mammal.tasks.tables.cells import missing_column
from mammal.tokenization.template import Template

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitData:
    """The rows of a task, split into parts.

    Attributes:
        frame: all rows, numbered from 0.
        record: the split, the leaks between its parts, and everything needed to repeat it on the same table.
    """

    frame: pd.DataFrame
    record: SplitRecord

    @property
    def split(self) -> Split:
        """Row numbers of each part, the hash of the split, and the rows that are in no part."""
        return self.record.split

    @property
    def leakage(self) -> dict[str, int]:
        """For test and valid, the number of rows that train contains too (`mammal.tasks.splits.leakage`)."""
        return self.record.leakage

    def part(self, name: str) -> pd.DataFrame:
        """Returns the rows of a part. The index is the row number in `frame`.

        Args:
            name: `"train"`, `"valid"` or `"test"`.
        """
        return self.frame.iloc[self.split.parts[name]]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Returns the rows of a part as mappings.

        Args:
            name: `"train"`, `"valid"` or `"test"`.
        """
        return self.part(name).to_dict("records")


def load_dataset(data: DataConfig, paths: Mapping[str, object] | None = None) -> pd.DataFrame:
    """Reads all rows of a declared data source.

    Args:
        data: the `data` block of a task.
        paths: `{"data": folder of local copies}`. Default: the folder named by the environment variable `MAMMAL_DATA`.

    Returns:
        One row for each row of the source, numbered from 0.

    Raises:
        TaskError: `data.path` names a file, and the source does not read it.
        DataError: the data is not available, can't be read, or has no rows.
    """
    if data.path and data.source not in READ_PATH:
        what = f"data.path is {data.path!r}, and source {data.source} does not read it"
        raise TaskError(what, hint="data.source=file")
    source = import_module(f"mammal.tasks.sources.{data.source}")
    frame = source.load(data, data_root(paths)).reset_index(drop=True)
    if not len(frame):
        raise DataError("the data has no rows", where=f"source {data.source} {data.name or data.path or ''}".strip())
    return frame


def with_task_columns(frame: pd.DataFrame, config: TaskConfig) -> pd.DataFrame:
    """Renames the columns of a table to the names in the task's template.

    Args:
        frame: the table.
        config: declaration of the task.

    Raises:
        DataError: a column that the task reads or predicts is missing, or the table has two columns for the same name.
    """
    columns = prompt_columns(config)
    for column, name in columns.renames.items():
        if column != name and column in frame.columns and name in frame.columns:
            hint = f"rename one of them, or write {name!r} in the prompt and leave it out of data.columns"
            raise DataError(f"data.columns reads {column!r} from {name!r}, and the table has both", hint=hint)
        frame = frame.rename(columns={name: column})
    for column, name in columns.fallbacks.items():
        frame = frame if column in frame.columns else frame.rename(columns={name: column})
    labelled = _labelled(frame, columns, config)
    for group in (*columns.needed, *((column,) for column in labelled)):
        if not any(column in frame.columns for column in group):
            raise missing_column([columns.renames.get(column, column) for column in group], list(frame.columns))
    return frame


def load_data(config: TaskConfig, paths: Mapping[str, object] | None = None) -> SplitData:
    """Reads the rows of a task and splits them as the task declares. Leaks between the parts are counted.

    Args:
        config: declaration of the task.
        paths: `{"data": folder of local copies}`. Default: the folder named by the environment variable `MAMMAL_DATA`.

    Raises:
        DataError: there is no data, a column is missing, two columns are declared for the same one, a saved split
            belongs to another table, or the parts leak and `data.leakage` is `refuse`.
        TaskError: the declared split is not possible.
    """
    divided = divide(load_dataset(config.data, paths), config, paths)
    _tell(divided.record, config)
    return divided


def divide(frame: pd.DataFrame, config: TaskConfig, paths: Mapping[str, object] | None = None) -> SplitData:
    """Splits a table as a task declares; the table can come from any source.

    Args:
        frame: every row; columns have the names of the task or of its data file.
        config: declaration of the task.
        paths: `{"data": folder}` in which `data.split_file` is searched. Default: the folder named by the environment
            variable `MAMMAL_DATA`.

    Raises:
        DataError: a column is missing, two columns are declared for the same one, a saved split belongs to another
            table, or the parts leak and `data.leakage` is `refuse`.
        TaskError: the declared split is not possible.
    """
    columns = prompt_columns(config)
    frame = with_task_columns(frame, config)
    labelled = _labelled(frame, columns, config)
    inputs = [column for column in columns.inputs if column in frame.columns]
    keys = _input_keys(frame, columns)
    ordered = equal_sides(_template(config)) is None
    split = _split(frame, config.data, columns, whole_inputs(keys, ordered=ordered), paths)
    split = _settle_leaks(split, keys, config, ordered=ordered)
    texts = label_texts if config.kind in ("classification", "regression") else column_texts
    labels = {column: texts(frame, column) for column in labelled}
    record = SplitRecord(
        split,
        len(frame),
        inputs,
        content_digest(frame, inputs),
        leakage=count_leaks(keys, split, ordered=ordered) | count_known(_answered_molecules(frame, columns), split),
        repeats=count_repeats(keys, labels, split, ordered=ordered),
    )
    return SplitData(frame, record)


def _labelled(frame: pd.DataFrame, columns: PromptColumns, config: TaskConfig) -> list[str]:
    """Target columns that the table must have, and those that it has although the task could compute them."""
    return [column for column in columns.targets if column in frame.columns or column not in config.computed]


def _template(config: TaskConfig) -> Template:
    return Template(config.prompt.input, config.prompt.target, raw=config.prompt.raw)


def _split(
    frame: pd.DataFrame,
    data: DataConfig,
    columns: PromptColumns,
    inputs: Sequence[Hashable],
    paths: Mapping[str, object] | None,
) -> Split:
    if data.split_file:
        return load_split(find_file(data.split_file, data_root(paths)), frame)
    on = columns.sequences if data.split == "cluster" else columns.molecules
    if data.split == "cold":
        on = [column for column in columns.inputs if column in {*columns.molecules, *columns.sequences}]
    return split_frame(frame, data, on, molecules=columns.molecules, targets=columns.targets, inputs=inputs)


def _input_keys(frame: pd.DataFrame, columns: PromptColumns) -> dict[str, list[str]]:
    """Texts by which rows are compared: for each group of columns that a prompt reads, the first cell that is not
    empty."""
    found = {}
    for group in columns.groups:
        keys = input_keys(frame, [column for column in group if column in frame.columns], columns.molecules)
        if keys:
            found[next(iter(keys))] = [next(filter(None, cells), "") for cells in zip(*keys.values(), strict=True)]
    return found


def _answered_molecules(frame: pd.DataFrame, columns: PromptColumns) -> Keys:
    """Target molecules in the form in which they are compared; none for a task without inputs, which only samples."""
    asked = [column for column in columns.targets if column in columns.molecules and column not in columns.inputs]
    return input_keys(frame, asked if columns.groups else [], columns.molecules)


def _settle_leaks(split: Split, keys: Keys, config: TaskConfig, *, ordered: bool) -> Split:
    """The split; without leaking rows if `data.leakage` is `drop`.

    Raises:
        DataError: the split leaks and `data.leakage` is `refuse`.
    """
    if config.data.leakage == "drop":
        return without_leaks(keys, split, ordered=ordered)
    if config.data.leakage == "refuse":
        found = count_leaks(keys, split, ordered=ordered)
        counts = [f"{found[part]:,} {part}" for part in ("test", "valid") if found.get(part)]
        if counts:
            what = f"{' and '.join(counts)} rows have the inputs of a training row"
            hint = "task.data.leakage=drop leaves them out; a group, cold or cluster split has none"
            raise DataError(what, where=f"task {config.name}", hint=hint)
    return split


def _tell(record: SplitRecord, config: TaskConfig) -> None:
    """Logs the sizes of the parts, and warns of leaks and repeats that make results look better than they are."""
    split, name = record.split, config.name
    sizes = ", ".join(f"{len(rows):,} {part}" for part, rows in split.parts.items())
    logger.info("%s: %s rows (%s; split %s)", name, f"{record.rows:,}", sizes, split.how)
    if split.left_out:
        (row, reason), count = split.left_out[0], f"{len(split.left_out):,}"
        logger.info("%s: %s rows are in no part; the first is row %d: %s", name, count, row + 1, reason)
    for part in ("test", "valid"):
        if record.leakage.get(part):
            logger.warning("%s: %d %s rows have the inputs of a training row", name, record.leakage[part], part)
    conflicting = record.repeats["conflicting"]
    if conflicting and config.kind == "classification":
        across = record.repeats["conflicting_across_parts"]
        logger.warning("%s: %d inputs have more than one label, %d of them across parts", name, conflicting, across)
    known = _known_answers(record, config)
    if any(known.values()):
        counts = ", ".join(f"{key}: {count:,}" for key, count in known.items())
        logger.warning("%s: rows whose answer is a molecule of train: %s", name, counts)


def _known_answers(record: SplitRecord, config: TaskConfig) -> dict[str, int]:
    """Recorded leaks of answers: those of columns that are predicted and not read."""
    columns = prompt_columns(config)
    answered = {*columns.targets} - {*columns.inputs}
    return {key: count for key, count in record.leakage.items() if key.partition("/")[2] in answered}

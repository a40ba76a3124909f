"""Loading of a task's rows: reading from the source, and the split."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.declaration.data_config import SOURCES
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig, TaskConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.molecules.policy import Policy, Standard, standard_of
from mammal.tasks.prompts.columns import PromptColumns, equal_sides, prompt_columns
from mammal.tasks.prompts.table_columns import check_columns, labelled_columns, with_task_columns
from mammal.tasks.sources.local import data_root, find_file
from mammal.tasks.splits import Split, SplitRecord, load_split, split_frame
from mammal.tasks.splits.held_out import without_held_out
from mammal.tasks.splits.leaks import (
    Keys,
    count_known,
    count_leaks,
    count_repeats,
    input_keys,
    repeated_rows,
    whole_inputs,
    without_leaks,
)
from mammal.tasks.splits.like import LIKE, Homes, homes_of, like
from mammal.tasks.splits.saved import content_digest
from mammal.tasks.splits.table import Table, column_texts, label_texts, molecule_keys
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
    if data.path and not SOURCES.get(data.source):
        what = f"data.path is {data.path!r}, and source {data.source} does not read it"
        raise TaskError(what, hint="data.source=file")
    source = import_module(f"mammal.tasks.sources.{data.source}")
    frame = source.load(data, data_root(paths)).reset_index(drop=True)
    if not len(frame):
        raise DataError("the data has no rows", where=f"source {data.source} {data.name or data.path or ''}".strip())
    return frame


def load_data(config: TaskConfig, paths: Mapping[str, object] | None = None) -> SplitData:
    """Reads the rows of a task and splits them as the task declares. Leaks between the parts are counted.

    Args:
        config: declaration of the task.
        paths: `{"data": folder of local copies}`. Default: the folder named by the environment variable `MAMMAL_DATA`.

    Raises:
        DataError: there is no data, a column is missing, `data.columns` names one that the file lacks, a saved split
            belongs to another table, or the parts leak and `data.leakage` is `refuse`.
        TaskError: the declared split is not possible, or `data.columns` names a column that the prompt lacks.
    """
    divided = _read_and_divide(config, paths)
    _tell(divided.record, config)
    return divided


def _read_and_divide(config: TaskConfig, paths: Mapping[str, object] | None) -> SplitData:
    check_columns(config)
    frame = load_dataset(config.data, paths)
    check_columns(config, list(map(str, frame.columns)) if config.data.source == "file" else None)
    return divide(frame, config, paths)


def divide(frame: pd.DataFrame, config: TaskConfig, paths: Mapping[str, object] | None = None) -> SplitData:
    """Splits a table as a task declares; the table can come from any source.

    Args:
        frame: every row; columns have the names of the task or of its data file.
        config: declaration of the task.
        paths: `{"data": folder}` in which `data.split_file` is searched. Default: the folder named by the environment
            variable `MAMMAL_DATA`.

    Raises:
        DataError: a column is missing, a saved split belongs to another table, or the parts leak and `data.leakage` is
            `refuse`.
        TaskError: the declared split is not possible.
    """
    columns = prompt_columns(config)
    frame = with_task_columns(frame, config)
    labelled = labelled_columns(frame, columns, config)
    inputs = [column for column in columns.inputs if column in frame.columns]
    standard = standard_of(config.standardise)
    keys = _input_keys(frame, columns, standard)
    ordered = equal_sides(_template(config)) is None
    texts = label_texts if config.family in ("classification", "regression") else column_texts
    labels = {column: texts(frame, column) for column in labelled}
    inputs_N = whole_inputs(keys, ordered=ordered)
    repeats = repeated_rows(inputs_N, labels) if config.data.deduplicate and keys else {}
    split = _split_without(frame, repeats, config.data, columns, inputs_N, paths, standard)
    if config.data.held_out and not config.data.split_file:
        present = [column for column in columns.molecules if column in frame.columns]
        written = [column_texts(frame, column) for column in present]
        if isinstance(standard, Policy):  # a salt can be read as a molecule of the list
            written += [molecule_keys(texts, standard) for texts in written]
        split = without_held_out(split, config.data.held_out, written)
    split = _handle_leaks(split, keys, config, ordered=ordered)
    answers = _answered_molecules(frame, columns, standard)
    record = SplitRecord(
        split,
        len(frame),
        inputs,
        content_digest(frame, inputs),
        leakage=count_leaks(keys, split, ordered=ordered) | count_known(answers, split),
        repeats=count_repeats(keys, labels, split, ordered=ordered),
    )
    return SplitData(frame, record)


def _template(config: TaskConfig) -> Template:
    return Template(config.prompt.input, config.prompt.target, raw=config.prompt.raw)


def _split_without(
    frame: pd.DataFrame,
    repeats: Mapping[int, int],
    data: DataConfig,
    columns: PromptColumns,
    inputs: Sequence[Hashable],
    paths: Mapping[str, object] | None,
    standard: Standard,
) -> Split:
    """The split of the rows that repeat no earlier one; row numbers are those of the whole table."""
    if not repeats or data.split_file:
        return _split(frame, data, columns, inputs, paths, standard)
    kept_N = np.array([row for row in range(len(frame)) if row not in repeats], dtype=np.int64)
    kept, kept_inputs = frame.iloc[kept_N].reset_index(drop=True), [inputs[row] for row in kept_N]
    made = _split(kept, data, columns, kept_inputs, paths, standard)
    left_out = [(int(kept_N[row]), reason) for row, reason in made.left_out]
    left_out += [(row, f"repeats row {first + 1}") for row, first in repeats.items()]
    parts = {part: kept_N[rows] for part, rows in made.parts.items()}
    return Split(f"{made.how}, {len(repeats)} repeated rows left out", parts, sorted(left_out))


def _split(
    frame: pd.DataFrame,
    data: DataConfig,
    columns: PromptColumns,
    inputs: Sequence[Hashable],
    paths: Mapping[str, object] | None,
    standard: Standard,
) -> Split:
    if data.split_file:
        return load_split(find_file(data.split_file, data_root(paths)), frame)
    if data.split.startswith(LIKE):
        table = Table(frame, data, columns.molecules, columns.molecules, standard=standard)
        return like(table, _homes_in(data, paths, standard))
    on = columns.sequences if data.split == "cluster" else columns.molecules
    if data.split == "cold":
        on = [column for column in columns.inputs if column in {*columns.molecules, *columns.sequences}]
    of_task: dict[str, Any] = {"molecules": columns.molecules, "targets": columns.targets, "inputs": inputs}
    return split_frame(frame, data, on, **of_task, standard=standard)


def _homes_in(data: DataConfig, paths: Mapping[str, object] | None, standard: Standard) -> Homes:
    """Part of each molecule of the task that `data.split` names, as its own rows are split.

    Molecules are compared as they are written, as that task standardises them, and as the task at hand does.

    Raises:
        TaskError: there is no such task, it has no molecules, or it is itself split like another task.
        DataError: its data can't be read.
    """
    name = data.split.removeprefix(LIKE).strip()
    where = f"data.split={LIKE}{name}"
    if not name or name.endswith((".yaml", ".yml")):
        hint = "like:esol, for example; --config-dir or MAMMAL_CONFIGS name the folder of your own tasks"
        raise TaskError("needs the name of a task", where=where, hint=hint)
    try:
        config = load_task(name)
    except TaskError as error:
        raise TaskError(error.what, where=where, hint=error.hint) from error
    if config.data.split.startswith(LIKE):
        raise TaskError(f"task {name} is itself split {config.data.split}", where=where, hint="name that task instead")
    columns = prompt_columns(config).molecules
    if not columns:
        raise TaskError(f"task {name} has no molecules", where=where, hint="name a task that reads or writes a SMILES")
    logger.info("%s: reads the rows of task %s, to find the part of each molecule", where, config.name)
    try:
        other = _read_and_divide(config, paths)
    except DataError as error:
        told = f" ({error.where})" if error.where else ""
        what = f"the rows of task {name} can't be read: {error.what}{told}"
        raise DataError(what, where=where, hint=error.hint) from error
    standards = [standard_of(config.standardise), standard]
    tables = [Table(other.frame, config.data, columns, columns, standard=one) for one in dict.fromkeys(standards)]
    homes = homes_of(config.name, tables, other.split)
    if homes.again:
        what = "%s: %s rows of valid or test of task %s have a molecule that is in one of its earlier parts, too"
        logger.warning(what, where, f"{homes.again:,}", config.name)
    return homes


def _input_keys(frame: pd.DataFrame, columns: PromptColumns, standard: Standard) -> dict[str, list[str]]:
    """Texts by which rows are compared: for each group of columns that a prompt reads, the first cell that is not
    empty."""
    found = {}
    for group in columns.groups:
        present = [column for column in group if column in frame.columns]
        keys = input_keys(frame, present, columns.molecules, standard)
        if keys:
            found[next(iter(keys))] = [next(filter(None, cells), "") for cells in zip(*keys.values(), strict=True)]
    return found


def _answered_molecules(frame: pd.DataFrame, columns: PromptColumns, standard: Standard) -> Keys:
    """Target molecules in the form in which they are compared; none for a task without inputs, which only samples."""
    asked = [column for column in columns.targets if column in columns.molecules and column not in columns.inputs]
    return input_keys(frame, asked if columns.groups else [], columns.molecules, standard)


def _handle_leaks(split: Split, keys: Keys, config: TaskConfig, *, ordered: bool) -> Split:
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
    if conflicting and config.family == "classification":
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

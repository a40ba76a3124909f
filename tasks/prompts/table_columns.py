"""Columns of a table under the names that a task's prompt gives them, and errors in `data.columns`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.prompts.columns import PromptColumns, prompt_columns
from mammal.tasks.tables.cells import missing_column
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


def with_task_columns(frame: pd.DataFrame, config: TaskConfig) -> pd.DataFrame:
    """Renames the columns of a table to the names in the task's template.

    Args:
        frame: the table.
        config: declaration of the task.

    Raises:
        DataError: a column that the task reads or predicts is missing.
    """
    columns = prompt_columns(config)
    frame = _renamed(frame, columns)
    for column, name in columns.fallbacks.items():
        frame = frame if column in frame.columns else frame.rename(columns={name: column})
    labelled = labelled_columns(frame, columns, config)
    for group in (*columns.needed, *((column,) for column in labelled)):
        if not any(column in frame.columns for column in group):
            raise missing_column([columns.renames.get(column, column) for column in group], list(frame.columns))
    return frame


def _renamed(frame: pd.DataFrame, columns: PromptColumns) -> pd.DataFrame:
    """The table with each column that `data.columns` names under the prompt's name for it.

    All at once, so that columns can change places. A column of the table that has the prompt's name already is not the
    one that the user meant, and is left out.
    """
    renames = {column: name for column, name in columns.renames.items() if column != name and name in frame.columns}
    first = {name: column for column, name in reversed(renames.items())}
    kept = {*columns.inputs, *columns.targets} - renames.keys()
    copies = {column: frame[name] for column, name in renames.items() if first[name] != column or name in kept}
    overshadowed = [column for column in renames if column in frame.columns and column not in first]
    moved = {name: column for name, column in first.items() if column not in copies}
    for column in overshadowed:
        logger.info("column %r is not read: data.columns reads %r from %r", column, column, renames[column])
    return frame.drop(columns=overshadowed).rename(columns=moved).assign(**copies)


def named_config(config: TaskConfig) -> TaskConfig:
    """The declaration for a table that `with_task_columns` has returned: its columns have the prompt's names already.

    Args:
        config: the declaration.
    """
    renames = prompt_columns(config).renames
    left = {key: name for key, name in config.data.columns.items() if key not in renames}
    return replace(config, data=replace(config.data, columns=left))


def check_columns(config: TaskConfig, table: Sequence[str] | None = None) -> None:
    """Refuses slips in `data.columns`.

    Args:
        config: the declaration.
        table: columns of the file that it declares; None: unknown.

    Raises:
        TaskError: a key is not a column of the prompt.
        DataError: a value is not a column of the table.
    """
    columns = prompt_columns(config)
    slots = (key for slot in columns.views.values() for key in (slot.column, *slot.keys))
    known = {*columns.inputs, *columns.targets, *columns.fallbacks.values(), *slots, *config.computed.values()}
    known |= {config.conditions.of} if config.conditions.of else set()
    for column, name in config.data.columns.items():
        where = f"task {config.name}: data.columns"
        if column not in known:
            hint = did_you_mean(column, known, noun="column of the prompt")
            raise TaskError(f"the prompt has no column {column!r}", where=where, hint=hint)
        if table is not None and name not in table:
            hint = did_you_mean(name, table, noun="column")
            raise DataError(f"{column} is read from {name!r}, which the table lacks", where=where, hint=hint)


def labelled_columns(frame: pd.DataFrame, columns: PromptColumns, config: TaskConfig) -> list[str]:
    """Target columns that the table must have, and those that it has although the task could compute them.

    Args:
        frame: the table; its columns have the prompt's names.
        columns: the columns of the prompt.
        config: declaration of the task.
    """
    return [column for column in columns.targets if column in frame.columns or column not in config.computed]

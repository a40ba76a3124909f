"""Columns that say which text the model read of the molecules of a row, and what standardisation changed.

    standardised    the text of the molecule in the prompt
    changes         what differs from the molecule of the row: `salt removed; charge neutralised`; empty if nothing does

If the prompt of a task has several molecules, the names start with that of the slot (`SLOT_standardised`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mammal.errors import ConfigError
from mammal.rows.answer_columns import AnswerColumn
from mammal.tasks.molecules.policy import policy_words

if TYPE_CHECKING:
    from mammal.tasks.task import Task

STANDARDISED, CHANGES = "standardised", "changes"


def standardised_columns(task: Task, prefix: str = "") -> list[AnswerColumn]:
    """Returns two columns for each molecule of the prompt of a task.

    Args:
        task: the task.
        prefix: text before each name.
    """
    starts = _starts(task, prefix).values()
    return [AnswerColumn(f"{start}{name}", "text") for start in starts for name in (STANDARDISED, CHANGES)]


def standardised_cells(task: Task, row: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Returns the values of these columns for a row that the task can read.

    Args:
        task: the task.
        row: columns of the user.
    """
    read = task.molecules_read(row)
    return tuple(text for slot in task.molecule_slots for text in (read[slot] or (None, None)))


def standardised_meanings(task: Task, prefix: str = "") -> dict[str, str]:
    """Returns what the columns `standardised` are: column -> its meaning, with the policy of the task.

    Args:
        task: the task.
        prefix: text before each name.
    """
    how = policy_words(task.config.standardise)
    return {
        f"{start}{STANDARDISED}": f"molecule as the model read it (standardise: {how})"
        for start in _starts(task, prefix).values()
    }


def check_standardised(task: Task) -> None:
    """Refuses these columns for a task without molecules.

    Args:
        task: the task.

    Raises:
        ConfigError: the prompt of the task has no molecule.
    """
    if not task.molecule_slots:
        raise ConfigError(f"{task.name} reads no molecule", where=STANDARDISED, hint="leave out standardised=true")


def _starts(task: Task, prefix: str) -> dict[str, str]:
    """Slot of a molecule -> text before the names of its columns."""
    slots = task.molecule_slots
    return {slot: prefix if len(slots) == 1 else f"{prefix}{slot}_" for slot in slots}

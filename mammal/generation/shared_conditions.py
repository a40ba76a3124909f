"""Conditions that are the same for all rows, as a caller gives them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mammal.errors import ConfigError, did_you_mean
from mammal.generation.setting_types import plain_value
from mammal.tasks.tables.cells import as_number, as_text, is_missing

if TYPE_CHECKING:
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

_FAR = 6.0
"""Standard deviations from the training rows' mean at which a number is said to be far out."""


def asked_of_all(task: Task | None, conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Conditions as the task names them, numbers as numbers; those that are None are left out.

    Numbers that lie far from what the task has learnt are logged.

    Raises:
        ConfigError: no such condition, or nothing that can be asked for. DataError: no finite number.
    """
    known = () if task is None else task.conditions
    found: dict[str, Any] = {}
    for name, value in conditions.items():
        if task is None or name not in known:
            whose = "a bare prompt has" if task is None else f"the task {task.name} has"
            hint = did_you_mean(name, known, noun="condition") if known else None
            raise ConfigError(f"{whose} no condition {name!r}", hint=hint)
        if value is None:
            continue
        if is_missing(plain_value(value)):
            raise ConfigError(f"the condition {name} is {value!r}", hint="a value, or None to ask for nothing")
        found[name] = as_number(value, name) if name in task.numbers else as_text(value)
    if task is not None:
        _tell_far(task, found)
    return found


def _tell_far(task: Task, asked: Mapping[str, Any]) -> None:
    for name in task.steering.numbers:
        if name in asked and abs(far := task.steering.scales[name].apply(asked[name], name)) > _FAR:
            told = "%s %g lies %.0f standard deviations from the mean of what %s learnt from: answers may not heed it"
            logger.warning(told, name, asked[name], abs(far), task.name)

"""Reads conditions of generation that are the same for all rows."""

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
"""A warning is logged for values that are more standard deviations away from the mean of the training rows."""


def asked_of_all(task: Task | None, conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Checks conditions and converts their values to numbers or text. Conditions that are None are left out.

    A warning is logged for numbers that are far from those of the training rows.

    Args:
        task: the task. None: a prompt without a task, which has no conditions.
        conditions: values by name of the condition.

    Raises:
        ConfigError: there is no such condition, or its value is missing.
        DataError: the value must be a number, and is not a finite one.
    """
    known = () if task is None else task.conditions
    found: dict[str, Any] = {}
    for name, value in conditions.items():
        if task is None or name not in known:
            whose = "a prompt without a task has" if task is None else f"the task {task.name} has"
            hint = did_you_mean(name, known, noun="condition") if known else None
            raise ConfigError(f"{whose} no condition {name!r}", hint=hint)
        if value is None:
            continue
        if is_missing(plain_value(value)):
            raise ConfigError(f"the condition {name} is {value!r}", hint="give a value, or None for no condition")
        found[name] = as_number(value, name) if name in task.numbers else as_text(value)
    if task is not None:
        _tell_far(task, found)
    return found


def _tell_far(task: Task, asked: Mapping[str, Any]) -> None:
    for name in task.steering.numbers:
        if name in asked and abs(far := task.steering.scales[name].apply(asked[name], name)) > _FAR:
            message = "%s %g is %.0f standard deviations from the mean of training rows of %s: answers may not match it"
            logger.warning(message, name, asked[name], abs(far), task.name)

"""Finds the task that a user names: a task of the bundle, a known task, or a declaration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from mammal.errors import ConfigError, TaskError, did_you_mean
from mammal.tokenization.errors import meant_name

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

TaskLike: TypeAlias = "str | Mapping[str, Any] | Task"
"""A task, or its name, the path of its YAML file, or its declaration."""

AnyTask = TypeVar("AnyTask", bound="Task")

VALUE = "value"
"""Column of values that are given without a task."""


def find_task(
    asked: TaskLike, own: Mapping[str, Task], tokenizer: Tokenizer, config_dirs: Sequence[str | Path] = ()
) -> Task:
    """Returns a task by its name, YAML file or declaration.

    Tasks of the bundle, which are fitted, are preferred to known tasks of the same name.

    Args:
        asked: name, YAML file or declaration of the task, or the task. Capitals, and blanks or hyphens for underscores,
            make no difference in a name if only one task can be meant.
        own: tasks of the bundle, by name.
        tokenizer: writes the prompts of a task that is not in the bundle.
        config_dirs: folders of the user with `task/*.yaml`.

    Raises:
        TaskError: there is no such task, or the tokenizer can't write its prompts.
    """
    from mammal.tasks.declaration.registry import list_tasks, load_task
    from mammal.tasks.kinds.build import build_task
    from mammal.tasks.task import Task

    if isinstance(asked, Task):
        return asked
    if isinstance(asked, str):
        if (mine := meant_name(asked, own)) is not None:
            return own[mine]
        if not asked.endswith((".yaml", ".yml")) and meant_name(asked, known := list_tasks(config_dirs)) is None:
            raise TaskError(f"unknown task {asked!r}", hint=did_you_mean(asked, {*own, *known}, noun="task"))
    return build_task(load_task(asked, config_dirs=config_dirs), tokenizer)


def the_only(own: Mapping[str, Task]) -> Task:
    """Returns the only task of a bundle.

    Args:
        own: tasks of the bundle, by name.

    Raises:
        TaskError: there is no task, or more than one.
    """
    if len(own) == 1:
        return next(iter(own.values()))
    if own:
        raise TaskError("this model has several tasks", hint="task= one of " + ", ".join(own))
    raise TaskError("this model comes without a task", hint='name a task, such as task="dti_bindingdb_pkd"')


def changed_task(task: AnyTask, changes: Mapping[str, Any], *, calibrated: bool = True) -> AnyTask:
    """Returns a copy of a fitted task with other settings.

    Args:
        task: the task.
        changes: settings of its declaration, such as `{"probability": "vocabulary"}`.
        calibrated: keep the fitted calibration.
    """
    from mammal.tasks.declaration.registry import load_task
    from mammal.tasks.kinds.build import build_task

    changed = build_task(load_task(task.config, changes), task.tokenizer)
    state = task.state()
    changed.load_state(state if calibrated else {**state, "calibration": {}, "label_sets": {}})
    changed.probes, changed.training_rows = task.probes, task.training_rows
    return cast("AnyTask", changed)  # of the same kind, which settings can't change


def require_numbers(model: MammalModel, task: Task) -> None:
    """Checks that the decoder of the model can predict numbers if the task needs them.

    Args:
        model: the model.
        task: the task.

    Raises:
        ConfigError: the decoder has no head for numbers. The message contains what is missing.
    """
    if task.mode == "decoder" and "values" in task.wants:
        model.scalar_head("decoder")


def entity_task(entity: str, tokenizer: Tokenizer) -> Task:
    """Returns a task that only reads values of one entity, from the column `value`.

    Args:
        entity: name of the entity, such as `"smiles"`.
        tokenizer: writes the prompts.

    Raises:
        ConfigError: there is no such entity, or it can be written in several ways.
    """
    from mammal.tasks.declaration.registry import load_task
    from mammal.tasks.kinds.build import build_task
    from mammal.tokenization.entities import ENTITIES

    if entity not in ENTITIES:
        raise ConfigError(f"unknown entity {entity!r}", hint=did_you_mean(entity, ENTITIES, noun="entity"))
    if len(ways := ENTITIES[entity].ways) > 1:
        raise ConfigError(f"{entity!r} can be written in several ways", hint=f"choose one: {' or '.join(ways)}")
    slot = f"{{{VALUE}:{entity}}}"
    declared = {"name": f"values_{entity}", "kind": "generation", "prompt": {"input": slot, "target": slot}}
    return build_task(load_task(declared), tokenizer)

"""Which task is meant: one of the bundle's own, one known by name, or one declared on the spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from mammal.errors import ConfigError, TaskError, did_you_mean

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

TaskLike: TypeAlias = "str | Mapping[str, Any] | Task"
"""A task, its name, its YAML file or its declaration."""

AnyTask = TypeVar("AnyTask", bound="Task")

VALUE = "value"
"""Column of values that come without a task."""


def find_task(
    asked: TaskLike, own: Mapping[str, Task], tokenizer: Tokenizer, config_dirs: Sequence[str | Path] = ()
) -> Task:
    """A task by name, YAML file or declaration; the bundle's own ones, which are fitted, come first.

    Args:
        asked: what names or declares the task.
        own: tasks of the bundle, by name.
        tokenizer: writes the prompts of a task that is not of the bundle.
        config_dirs: folders of the user's own that hold `task/*.yaml`.

    Raises:
        TaskError: there is no such task, or the tokenizer can't write its prompts.
    """
    from mammal.tasks.declaration.registry import list_tasks, load_task
    from mammal.tasks.kinds.build import build_task
    from mammal.tasks.task import Task

    if isinstance(asked, Task):
        return asked
    if isinstance(asked, str):
        if asked in own:
            return own[asked]
        if not asked.endswith((".yaml", ".yml")) and asked not in (known := list_tasks(config_dirs)):
            raise TaskError(f"unknown task {asked!r}", hint=did_you_mean(asked, {*own, *known}, noun="task"))
    return build_task(load_task(asked, config_dirs=config_dirs), tokenizer)


def the_only(own: Mapping[str, Task]) -> Task:
    """The task meant where none is named.

    Raises:
        TaskError: there is none, or more than one.
    """
    if len(own) == 1:
        return next(iter(own.values()))
    if own:
        raise TaskError("this model has several tasks", hint="task= one of " + ", ".join(own))
    raise TaskError("this model comes without a task", hint='say what to ask it, such as task="dti_bindingdb_pkd"')


def changed_task(task: AnyTask, changes: Mapping[str, Any], *, calibrated: bool = True) -> AnyTask:
    """The same fitted task with other settings, such as `{"probability": "vocabulary"}`."""
    from mammal.tasks.declaration.registry import load_task
    from mammal.tasks.kinds.build import build_task

    changed = build_task(load_task(task.config, changes), task.tokenizer)
    state = task.state()
    changed.load_state(state if calibrated else {**state, "calibration": {}})
    return cast("AnyTask", changed)  # of the same kind, which settings can't change


def require_numbers(model: MammalModel, task: Task) -> None:
    """Refuses a task whose target holds numbers that the model's decoder can't give.

    Raises:
        ConfigError: names what the model lacks.
    """
    if task.mode == "decoder" and "values" in task.wants:
        model.scalar_head("decoder")


def entity_task(entity: str, tokenizer: Tokenizer) -> Task:
    """A task that only reads values of one entity, from the column `value`.

    Raises:
        ConfigError: there is no such entity.
    """
    from mammal.tasks.declaration.registry import load_task
    from mammal.tasks.kinds.build import build_task
    from mammal.tokenization.entities import ENTITIES

    if entity not in ENTITIES:
        raise ConfigError(f"unknown entity {entity!r}", hint=did_you_mean(entity, ENTITIES, noun="entity"))
    if len(ways := ENTITIES[entity].ways) > 1:
        raise ConfigError(f"{entity!r} may be written in several ways", hint=f"say which: {' or '.join(ways)}")
    slot = f"{{{VALUE}:{entity}}}"
    declared = {"name": f"values_{entity}", "kind": "generation", "prompt": {"input": slot, "target": slot}}
    return build_task(load_task(declared), tokenizer)

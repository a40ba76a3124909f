"""The tasks of a bundle. Their names are read immediately, and each task is built on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mammal.bundle.locate import PROBES, TRAINING_ROWS
from mammal.errors import BundleError, MammalError, TaskError

if TYPE_CHECKING:
    import numpy as np

    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""LibYAML's parser reads a task file about ten times as fast, but PyYAML may be installed without it."""


class LazyTasks(MutableMapping[str, "Task"]):
    """Tasks by name. Each task is built on first use and then kept.

    Iteration over names, `len` and `in` build no task. `values`, `items` and `==` build all tasks. Instances can be
    copied and pickled.

    Args:
        tasks: for each name, the task or a function that builds it.
    """

    def __init__(self, tasks: Mapping[str, Task | Callable[[], Task]] | None = None):
        self._tasks = dict(tasks or {})

    def __getitem__(self, name: str) -> Task:
        task = self._tasks[name]
        if callable(task):
            task = self._tasks[name] = task()
        return task

    def __setitem__(self, name: str, task: Task) -> None:
        self._tasks[name] = task

    def __delitem__(self, name: str) -> None:
        del self._tasks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __repr__(self) -> str:
        return f"LazyTasks({', '.join(self._tasks)})"

    def copy(self) -> LazyTasks:
        """Returns a new mapping with the same tasks. Each mapping builds the tasks that are not built yet itself."""
        return LazyTasks(self._tasks)

    __copy__ = copy

    def joined(self, others: LazyTasks) -> LazyTasks:
        """Returns a new mapping that also has other tasks, after those of this one.

        Args:
            others: the other tasks; one with the name of a task of this mapping replaces it.
        """
        return LazyTasks({**self._tasks, **others._tasks})


def read_tasks(file: Path, tokenizer: Tokenizer) -> LazyTasks:
    """Reads the task file of a bundle.

    Args:
        file: `task.yaml` of the bundle. A bundle without this file has no tasks.
        tokenizer: tokenizer of the bundle, which encodes prompts.

    Returns:
        The tasks in the order of the file. The first use of a task raises `TaskError` if its declaration or fitted
        state is invalid or does not fit the tokenizer; the error names the task.

    Raises:
        BundleError: the file is not a task file of a bundle.
    """
    stored = _stored(file)
    return LazyTasks({name: partial(_build, file, name, *entry, tokenizer) for name, entry in stored.items()})


def stored_configs(file: Path) -> dict[str, TaskConfig]:
    """Reads the declarations in the task file of a bundle. Those that are not valid are left out.

    Args:
        file: `task.yaml` of the bundle; it need not exist.

    Raises:
        BundleError: the file is not a task file of a bundle.
    """
    from mammal.tasks.declaration.registry import load_task

    found = {}
    for name, (config, _) in _stored(file).items():
        with suppress(MammalError):
            found[name] = load_task(config)
    return found


def _stored(file: Path) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Declaration and state of each task, as they are written."""
    if not file.is_file():
        return {}
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)
        return {name: (entry["config"], entry["state"]) for name, entry in content["tasks"].items()}
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise BundleError("is not a task file of a bundle", where=str(file)) from error


def _build(file: Path, name: str, config: Mapping[str, Any], state: Mapping[str, Any], tokenizer: Tokenizer) -> Task:
    from mammal.tasks.declaration.registry import load_task
    from mammal.tasks.kinds.build import build_task

    try:
        task = build_task(load_task(config), tokenizer)
        task.load_state(state)
        if "probes" in state:
            task.load_probes(state, _arrays(file.parent / PROBES, name, "the probe"))
        task.load_training_rows(state, partial(_arrays, file.parent / TRAINING_ROWS, name, "training rows", _WITHOUT))
    except MammalError as error:
        raise TaskError(f"the task {name} can't be used: {error}", where=str(file), hint=_HINT) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"the task {name} can't be used: what was fitted is damaged ({type(error).__name__}: {error})"
        raise TaskError(what, where=str(file), hint=_HINT) from error
    return task


def _arrays(file: Path, task: str, what_for: str, hint: str | None = None) -> dict[str, np.ndarray]:
    """The arrays of a task in a file that holds those of several, each as `TASK/ARRAY`."""
    from safetensors import SafetensorError, safe_open

    start = f"{task}/"
    try:
        with safe_open(file, framework="np") as stored:
            names = [name for name in stored.keys() if name.startswith(start)]  # noqa: SIM118
            return {name.removeprefix(start): stored.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        what = "is missing" if not file.is_file() else "is damaged"
        raise BundleError(f"{file.name} {what}, which holds {what_for}", where=str(file.parent), hint=hint) from error


_WITHOUT = "restore the file, or leave its columns out: applicability=false"
_HINT = "restore the files that came with the bundle; its other tasks can still be used"

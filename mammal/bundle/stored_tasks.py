"""Writing of the tasks of a bundle: declarations and fitted values as YAML, arrays as safetensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mammal.tasks.declaration.schema import stored_config

if TYPE_CHECKING:
    from mammal.tasks.applicability.training_rows import TrainingRows
    from mammal.tasks.probes.task_probes import TaskProbes
    from mammal.tasks.task import Task


def write_arrays(file: Path, of_tasks: Mapping[str, TaskProbes | TrainingRows | None]) -> None:
    """Writes the arrays of tasks in one file, each as `TASK/ARRAY`. No file is written if there are none.

    Args:
        file: a safetensors file.
        of_tasks: name of a task -> what has the arrays.
    """
    from safetensors.numpy import save

    arrays = {
        f"{task}/{name}": array
        for task, fitted in of_tasks.items()
        if fitted is not None
        for name, array in fitted.arrays().items()
    }
    if arrays:
        file.write_bytes(save(arrays))  # `save_file` lets only the owner read the file


def write_tasks(file: Path, tasks: Sequence[Task], format_: int) -> None:
    """Writes the declarations of tasks and their fitted values. No file is written if there are no tasks.

    Args:
        file: `task.yaml` of a bundle.
        tasks: fitted tasks.
        format_: version of the bundle format.
    """
    if not tasks:
        return
    content = {
        "format": format_,
        "tasks": {task.name: {"config": _declared(task), "state": task.state()} for task in tasks},
    }
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")


def _declared(task: Task) -> dict[str, Any]:
    """Returns the whole declaration, so that later defaults can't change it. Paths are reduced to the file name."""
    config = stored_config(task.config)
    data = config["data"]
    if data.get("path"):
        data["path"] = _portable(data["path"])
    data["files"] = {part: _portable(path) for part, path in (data.get("files") or {}).items()}
    return config


def _portable(path: str) -> str:
    """A path from the working folder, in which the same command finds it again; of others the name alone."""
    file, here = Path(path).expanduser(), Path.cwd()
    if file.is_absolute() and file.is_relative_to(here):
        file = file.relative_to(here)
    return file.name if file.is_absolute() or ".." in file.parts else file.as_posix()

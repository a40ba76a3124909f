"""Loads the rows of a run, from their sources or from packs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.evaluation.task_data import TaskData
    from mammal.tasks.task import Task


def load_run_data(tasks: Mapping[str, Task], config: DictConfig, output: Path) -> tuple[dict[str, TaskData], float]:
    """Loads the rows of every task; splits and unusable rows are written into the folder of the run.

    Args:
        tasks: tasks of the run, by name.
        config: configuration of the run.
        output: folder of the run.

    Returns:
        The rows by task, and the seconds in which their features were computed.

    Raises:
        ConfigError: the folder of packs holds none of any task.
        DataError: data can't be found or read.
        TaskError: a task does not fit its data.
    """
    from mammal.corpus.packed import PackedData
    from mammal.evaluation.task_data import load_task_data, save_splits
    from mammal.training.processes import is_first

    limits = {"train": config.data.limit, "valid": config.data.valid_limit}
    paths = {"data": config.paths.data} if config.paths.data else None
    data: dict[str, TaskData] = {}
    computing = 0.0
    _check_packs(config.data.packed, tasks)
    for name, task in tasks.items():
        pack = Path(config.data.packed).expanduser() / name if config.data.packed else None
        data[name] = PackedData(task, pack, limits) if pack and pack.is_dir() else load_task_data(task, paths, limits)
        if config.data.overfit:
            data[name].validate_on_train()
        computing += data[name].compute_features()
        data[name].prepare()
    if is_first():
        save_splits(data, output)
    return data, computing


def _check_packs(folder: str | None, tasks: Mapping[str, Task]) -> None:
    """Refuses a folder that holds no pack of any task of the run."""
    if folder is None:
        return
    place = Path(folder).expanduser()
    found = sorted(file.parent.name for file in place.glob("*/pack.json"))
    if not set(found) & set(tasks):
        hint = f"it holds packs of {', '.join(found)}" if found else "mammal pack makes them"
        raise ConfigError("holds no pack of a task of this run", where=f"data.packed={folder}", hint=hint)

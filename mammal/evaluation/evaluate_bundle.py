"""Tasks of a bundle on their own held-out rows, with the options of `mammal evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mammal import console
from mammal.configuration.plain import plain
from mammal.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.evaluation.evaluate_task import Depth
    from mammal.evaluation.results import TaskResult
    from mammal.evaluation.task_data import TaskData
    from mammal.inference.api import Mammal
    from mammal.tasks.task import Task


def open_model(bundle: str | Path, config: DictConfig) -> Mammal:
    """The bundle on the device and in the number format that the command asks for."""
    from mammal.inference.api import load

    return load(bundle, device=config.device, dtype=config.dtype, tokenizer=config.tokenizer)


def depth_of(config: DictConfig) -> Depth:
    """What the command asks for besides judging our own predictions."""
    from mammal.evaluation.evaluate_task import Depth

    return Depth(
        baselines=config.baselines,
        trees=config.trees,
        seeds=config.seeds,
        sensitivity=config.sensitivity,
        neighbours=config.neighbours,
        draws=config.draws,
        seed=config.seed,
    )


def evaluate(model: Mammal, name: str, config: DictConfig, depth: Depth) -> TaskResult:
    """One task of a bundle on its own held-out rows."""
    from mammal.evaluation.evaluate_task import evaluate_task

    return evaluate_task(model.model, held_out(model, name, config), part=config.part, depth=depth)


def held_out(model: Mammal, name: str, config: DictConfig) -> TaskData:
    """The rows of a task of a bundle, those of the part that is judged cut to the limit."""
    from mammal.evaluation.task_data import load_task_data

    paths = {"data": config.paths.data} if config.paths.data else None
    data = load_task_data(_decoding_as_asked(model.find_task(name), config), paths, {config.part: config.limit})
    _check_split(model, name, data.split.hash)
    return data


def _decoding_as_asked(task: Task, config: DictConfig) -> Task:
    """The task, decoded by what `generation` says in place of its own settings.

    Raises:
        ConfigError: it generates nothing.
    """
    from mammal.rows.task_choice import changed_task

    if not config.generation:
        return task
    if task.config.kind not in ("generation", "denoising"):
        raise ConfigError(f"{task.name} generates nothing", where="generation", hint="task=NAME, of one that does")
    return changed_task(task, {"generation": plain(config.generation)})


def _check_split(model: Mammal, name: str, found: str) -> None:
    """Say when the rows are divided in another way than when the bundle was trained: it may have seen these."""
    recorded = model.metrics.get(name)
    parts = recorded.values() if isinstance(recorded, dict) else ()
    hashes = (part.get("split_hash") for part in parts if isinstance(part, dict))
    trained = next(filter(None, hashes), None)  # of the whole split, so any part that was judged tells it
    if trained is not None and trained != found:
        console.note(
            f"warning: {name}: this is not the split it was trained with (hash {found[:12]}, then {trained[:12]}): "
            "rows judged here may have been learned from"
        )

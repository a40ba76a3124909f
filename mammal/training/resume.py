"""Finds the checkpoint that a run continues from, and checks that it belongs to the same run."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.errors import ConfigError, TrainingError
from mammal.training.trainer import LAST

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.training.module import TrainingModule

CHECKPOINTS, EVALUATION, MEMBERS = "checkpoints", "evaluation", "members"
EARLIER = "earlier"
"""Folder in the folder of a run to which the files of an earlier run are moved."""


@dataclass(frozen=True)
class Resumed:
    """A checkpoint to continue from.

    Attributes:
        path: path of the file.
        steps: number of optimiser steps that were completed when it was saved.
    """

    path: str
    steps: int


def find_checkpoint(config: DictConfig, module: TrainingModule, *, averaged: bool) -> Resumed | None:
    """Finds the checkpoint that `resume` selects, and checks that it fits the module.

    Args:
        config: configuration of the run.
        module: the module that will continue training.
        averaged: whether this run uses a moving average of its weights.

    Returns:
        The checkpoint; None for a new run.

    Raises:
        ConfigError: the file does not exist, or it belongs to other tasks, another model or another optimiser, or only
            one of the two runs averages its weights.
        TrainingError: the file is damaged, or it is not a checkpoint of a run.
    """
    path = _named(config)
    if path is None:
        return None
    stored = _opened(path)
    if (trained := stored["going_on"]["tasks"]) != sorted(module.tasks):
        hint = f"it knows {', '.join(trained)}"
        raise ConfigError("the checkpoint to resume was trained on other tasks", where=str(path), hint=hint)
    _check_averages("averaging_state" in stored, averaged, path)
    _check_weights(stored["state_dict"], module, path)
    _check_optimizer(stored["optimizer_states"][0], module, path)
    return Resumed(str(path), int(stored["global_step"]))


def put_aside(output: Path, resumed: Resumed | None) -> None:
    """Moves files of an earlier run in `output` to the folder `earlier/`, unless this run continues it.

    Otherwise, if this run were interrupted before its first checkpoint, `resume=auto` would find the checkpoint of the
    earlier run. And if this run does not evaluate test rows, figures of the earlier run would be next to its bundle.
    The earlier bundle stays until the new one replaces it.

    Args:
        output: folder of the run.
        resumed: the checkpoint that this run continues from; None: a new run.
    """
    checkpoints, home = output / CHECKPOINTS, output / EARLIER
    if resumed is not None and Path(resumed.path).resolve().parent == checkpoints.resolve():
        return
    folders = (checkpoints, output / EVALUATION, output / MEMBERS)
    left = [path for path in folders if path.is_dir() and any(path.iterdir())]
    if not left:
        return
    replacing = ", in place of those of a run before that" if home.exists() else ""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    for path in left:
        path.replace(home / path.name)
    names = " and ".join(path.name for path in left)
    console.note(f"{output} holds an earlier run: its {names} are in {home} now{replacing}")


def _named(config: DictConfig) -> Path | None:
    if config.resume in (None, False):
        return None
    path = Path(config.output) / CHECKPOINTS / LAST if config.resume == "auto" else Path(config.resume)
    if path.is_file():
        return path
    if config.resume == "auto":
        return None
    raise ConfigError(
        f"there is no checkpoint {path}", where="resume", hint="resume=auto continues from the last one in output"
    )


def _opened(path: Path) -> dict[str, Any]:
    import torch

    try:
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if not {"global_step", "state_dict", "optimizer_states", "going_on"} <= set(stored):
            raise KeyError("it contains weights, but not the state of a run of mammal train")
        return stored
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error.args[0] if isinstance(error, KeyError) else error).split("\n")[0]
        raise TrainingError("is not a checkpoint to resume from", where=str(path), hint=reason) from error


def _check_averages(stored: bool, here: bool, path: Path) -> None:
    """Refuses to continue training from averaged weights as if they were the weights of the last step."""
    if stored != here:
        what = f"{'holds averaged weights' if stored else 'holds no averaged weights'}, unlike this run"
        raise ConfigError(what, where=str(path), hint="callbacks must be as in the command that started the run")


def _check_weights(stored: Mapping[str, Any], module: TrainingModule, path: Path) -> None:
    """Refuses weights with other sizes or names before Lightning does, whose message would list all of them."""
    expected = {name: tuple(weight.shape) for name, weight in module.state_dict().items()}
    found = {name: tuple(weight.shape) for name, weight in stored.items()}
    if found == expected:
        return
    hint = "resume with the command that started the run; to start a new run from a trained model, use init="
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            here, there = (_shape(shapes.get(name)) for shapes in (expected, found))
            what = f"is of another model: {name.removeprefix('model.')} is {there} there, {here} in this run"
            raise ConfigError(what, where=str(path), hint=hint)


def _check_optimizer(stored: Mapping[str, Any], module: TrainingModule, path: Path) -> None:
    groups = module.make_optimizer(module.model).param_groups
    if [len(group["params"]) for group in groups] != [len(group["params"]) for group in stored["param_groups"]]:
        hint = "optim and adapt must be as in the command that started the run"
        raise ConfigError("is of another optimiser", where=str(path), hint=hint)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "no such weight" if shape is None else str(list(shape))

"""Which checkpoint a run goes on from, and whether it is one of this very run."""

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

CHECKPOINTS, EVALUATION = "checkpoints", "evaluation"
EARLIER = "earlier"
"""Folder of a run that holds what the run before it left there."""


@dataclass(frozen=True)
class Resumed:
    """A checkpoint to go on from.

    Attributes:
        path: of the file.
        steps: optimiser steps behind it.
    """

    path: str
    steps: int


def find_checkpoint(config: DictConfig, module: TrainingModule, *, averaged: bool) -> Resumed | None:
    """The checkpoint that `resume` names, checked against the module that shall go on; None: a new run.

    Args:
        averaged: this run keeps a moving average of its weights.

    Raises:
        ConfigError: there is no such file, or it is of other tasks, another model or another optimiser, or of a run
            that averaged its weights where this one does not, or the other way round.
        TrainingError: it is damaged, or no checkpoint of a run.
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
    """Move what an earlier run left in `output` into its folder `earlier/`, unless this run goes on from there.

    Else a run that is cut off before it saves would leave the earlier one's checkpoint for `resume=auto` to find, and
    one that judges no test rows the earlier one's figures beside its own bundle. The bundle stays until a new one takes
    its place.
    """
    checkpoints, home = output / CHECKPOINTS, output / EARLIER
    if resumed is not None and Path(resumed.path).resolve().parent == checkpoints.resolve():
        return
    left = [path for path in (checkpoints, output / EVALUATION) if path.is_dir() and any(path.iterdir())]
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
        f"there is no checkpoint {path}", where="resume", hint="resume=auto goes on from output's last one"
    )


def _opened(path: Path) -> dict[str, Any]:
    import torch

    try:
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if not {"global_step", "state_dict", "optimizer_states", "going_on"} <= set(stored):
            raise KeyError("it holds weights, but not how far a run of ours has come")
        return stored
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error.args[0] if isinstance(error, KeyError) else error).split("\n")[0]
        raise TrainingError("is no checkpoint to resume from", where=str(path), hint=reason) from error


def _check_averages(stored: bool, here: bool, path: Path) -> None:
    """Refuse to let averages learn on as if they had been the weights of the last step."""
    if stored != here:
        what = f"{'holds averaged weights' if stored else 'holds no averaged weights'}, unlike this run"
        raise ConfigError(what, where=str(path), hint="callbacks must be as in the command that began the run")


def _check_weights(stored: Mapping[str, Any], module: TrainingModule, path: Path) -> None:
    """Refuse weights of another size or name before Lightning does, with a page of them."""
    expected = {name: tuple(weight.shape) for name, weight in module.state_dict().items()}
    found = {name: tuple(weight.shape) for name, weight in stored.items()}
    if found == expected:
        return
    hint = "resume with the command that began the run; to start a new run from a trained model, use init="
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            here, there = (_shape(shapes.get(name)) for shapes in (expected, found))
            what = f"is of another model: {name.removeprefix('model.')} is {there} there, {here} in this run"
            raise ConfigError(what, where=str(path), hint=hint)


def _check_optimizer(stored: Mapping[str, Any], module: TrainingModule, path: Path) -> None:
    groups = module.make_optimizer(module.model).param_groups
    if [len(group["params"]) for group in groups] != [len(group["params"]) for group in stored["param_groups"]]:
        hint = "optim and adapt must be as in the command that began the run"
        raise ConfigError("is of another optimiser", where=str(path), hint=hint)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "no such weight" if shape is None else str(list(shape))

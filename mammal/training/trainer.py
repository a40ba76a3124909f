"""Creates the Lightning Trainer of a run from its configuration, and hides superfluous messages of Lightning."""

from __future__ import annotations

import logging
import math
import warnings
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging

from mammal import console
from mammal.configuration.durations import duration
from mammal.configuration.known_keys import TRAINER_IS_GIVEN
from mammal.configuration.plain import plain
from mammal.errors import ConfigError, MammalError, TrainingError, did_you_mean
from mammal.training.averaging import MovingAverage
from mammal.training.callbacks import ProgressLine, StopOnSignal, ValidateAtEnd
from mammal.training.checkpoint_io import WholeCheckpoints
from mammal.training.monitor import choose_monitor_mode

if TYPE_CHECKING:
    import torch
    from omegaconf import DictConfig

LAST = "last.ckpt"
_SAID_BY_US = (
    r"You have overridden `(on_before_batch_transfer|transfer_batch_to_device)`.*",
    r".*does not have many workers.*",
    r".*smaller than the logging interval.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
    r".*Experiment logs directory .* exists and is not empty.*",
    r".*The dirpath has changed from.*",
    r".*Trying to infer the `batch_size`.*",
    r".*torch.jit.*deprecated.*",
    r".*Total length of `list` across ranks is zero.*",  # `check_rows` warns of a split without validation rows
    r".*could not find the monitored key in the returned metrics.*",  # of such a split, too
    r".*GPU available but not used.*",
    r".*recommended to use `self.log.*sync_dist=True.*",  # every process logs the same value
    r".*No device id is provided via `init_process_group`.*",
)


def build_trainer(
    config: DictConfig, batches_per_epoch: int, computing: float = 0.0
) -> tuple[lightning.Trainer, int | None]:
    """Creates the Trainer of a run.

    Args:
        config: configuration of the run.
        batches_per_epoch: number of training batches in an epoch.
        computing: seconds in which features of the rows were computed. They count towards `trainer.max_time`.

    Returns:
        The Trainer, and the number of optimiser steps of the run (None if only time ends it).

    Raises:
        ConfigError: Lightning does not have an argument or refuses its value, or the run would have no steps.
        TrainingError: `computing` is all of `trainer.max_time`.
    """
    quieten()
    choose_monitor_mode(config)
    arguments = plain(config.trainer)
    arguments["precision"] = pick_precision(arguments.get("precision", "auto"), arguments.get("accelerator", "auto"))
    arguments["max_time"] = _time_left(duration(arguments.get("max_time")), computing)
    arguments["profiler"] = _profiler(arguments.get("profiler"), str(config.output))
    callbacks = _callbacks(config)
    if "fsdp" in str(arguments.get("strategy")):
        _check_split_weights(callbacks)
    last = Path(config.output) / "checkpoints" / LAST
    progress = ProgressLine()
    callbacks += [StopOnSignal(last), ValidateAtEnd(), progress]
    ours: dict[str, Any] = {
        "logger": _each(config.get("logger"), "logger"),
        "plugins": WholeCheckpoints(),
        "callbacks": callbacks,
        "default_root_dir": str(config.output),
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
    }
    assert set(ours) == set(TRAINER_IS_GIVEN), "known_keys.TRAINER_IS_GIVEN lists what the group trainer can't set"
    try:
        trainer = lightning.Trainer(**arguments, **ours)
    except TypeError as error:
        raise _unknown_argument(error, arguments) from error
    except (ValueError, lightning.utilities.exceptions.MisconfigurationException) as error:
        raise ConfigError(str(error).split("\n")[0], where="trainer") from error
    # The processes share an epoch, and their number is only known after the trainer was created.
    steps = progress.total_steps = planned_steps(plain(config.trainer), -(-batches_per_epoch // trainer.world_size))
    if steps == 0:
        hint = "max_steps, max_epochs and limit_train_batches must leave at least one batch"
        raise ConfigError("no step would be taken", where="trainer", hint=hint)
    return trainer, steps


def _time_left(limit: timedelta | None, computing: float) -> timedelta | None:
    """The time limit without the time that was spent before training.

    Raises:
        TrainingError: nothing is left.
    """
    if limit is None or computing < 1:
        return limit
    left = limit - timedelta(seconds=round(computing))
    if left <= timedelta():
        what = f"computing features took {console.clock(computing)}, which is all of trainer.max_time"
        raise TrainingError(what, hint="they are kept: repeat the command, or set a longer trainer.max_time")
    return left


def _check_split_weights(callbacks: list[Any]) -> None:
    """Refuses what FSDP can't do: average weights, or return all weights in another way than by a checkpoint."""
    if any(isinstance(callback, MovingAverage) for callback in callbacks):
        raise ConfigError("weights that are split over processes can't be averaged", where="callbacks.ema")
    if not any(isinstance(callback, ModelCheckpoint) and callback.monitor for callback in callbacks):
        raise ConfigError("weights that are split over processes need the checkpoint best.ckpt", where="callbacks.best")


def _callbacks(config: DictConfig) -> list[Any]:
    """The callbacks of the group `callbacks`.

    Raises:
        ConfigError: an entry creates an object that is not a callback of Lightning and would never be called.
    """
    found = _each(config.get("callbacks"), "callbacks")
    if wrong := [made for made in found if not isinstance(made, Callback)]:
        what = f"{type(wrong[0]).__name__} is not a callback of Lightning"
        raise ConfigError(what, where="callbacks", hint="_target_ names a subclass of lightning.pytorch.Callback")
    return found


def _each(section: Any, group: str) -> list[Any]:
    """Creates the objects of a section; entries that are null are skipped."""
    return [instantiated(node, f"{group}.{name}") for name, node in (section or {}).items() if node]


def planned_steps(arguments: dict[str, Any], batches_per_epoch: int) -> int | None:
    """Computes the number of optimiser steps until `max_steps` or `max_epochs` ends the run; None without either.

    Args:
        arguments: arguments of the Trainer.
        batches_per_epoch: number of training batches in an epoch.
    """
    limit = arguments.get("limit_train_batches", 1.0)
    batches = min(batches_per_epoch, limit) if isinstance(limit, int) else int(batches_per_epoch * limit)
    steps = math.ceil(batches / arguments.get("accumulate_grad_batches", 1))
    epochs, most = arguments.get("max_epochs"), arguments.get("max_steps", -1)
    epochs = -1 if epochs is None else epochs
    ends = [end for end in (most, epochs * steps) if end >= 0]
    return min(ends) if ends else None


def device_before_fit(config: DictConfig) -> torch.device:
    """The device for work before or in place of fitting, when Lightning has not moved the model yet.

    Args:
        config: configuration of the run.
    """
    from mammal.model.runtime import pick_device

    return pick_device("cpu" if config.trainer.accelerator == "cpu" else "auto")


def pick_precision(precision: Any, accelerator: str) -> Any:
    """Selects the precision of training.

    Args:
        precision: a precision of Lightning; "auto": bf16-mixed on a GPU that supports it, else 32-true, which is
            fastest for small batches on a CPU.
        accelerator: accelerator of Lightning, such as "gpu".
    """
    import torch

    if precision != "auto":
        return precision
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


def _profiler(name: str | None, folder: str) -> Any:
    """A profiler of Lightning that writes into the folder of the run (`fit-profile.txt`); other names are passed on."""
    from lightning.pytorch.profilers import AdvancedProfiler, SimpleProfiler

    known = {"simple": SimpleProfiler, "advanced": AdvancedProfiler}
    return known[name](dirpath=folder, filename="profile") if name in known else name


def checkpoints(trainer: lightning.Trainer) -> list[ModelCheckpoint]:
    """Lightning's checkpoint callbacks of a trainer."""
    every = trainer.callbacks  # type: ignore[attr-defined]
    return [callback for callback in every if isinstance(callback, ModelCheckpoint)]


def is_averaged(trainer: lightning.Trainer) -> bool:
    """Whether validation and checkpoints use a moving average of the weights."""
    return any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks)  # type: ignore[attr-defined]


def instantiated(node: Any, where: str, *arguments: Any) -> Any:
    """Creates the object that a config section with a `_target_` describes.

    Args:
        node: the section.
        where: path of the section in the configuration, for error messages.
        arguments: positional arguments, in addition to those of the section.

    Returns:
        The object; None if the section is empty.

    Raises:
        ConfigError: the target does not exist or refuses its arguments.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, *arguments, _convert_="all") if node else None
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, MammalError):
            raise cause from None
        if isinstance(cause, ModuleNotFoundError):
            raise _not_installed(cause, where) from error
        raise ConfigError(str(cause or error).split("\n")[0], where=where) from error


def _not_installed(error: ModuleNotFoundError, where: str) -> ConfigError:
    """The error for a missing package; for loggers that are extras of this package it shows how to install them."""
    extra = where.rpartition(".")[2]
    hint = f'pip install "mammal[{extra}]"' if where.startswith("logger.") else "check the spelling, or install it"
    return ConfigError(f"needs a package that is not installed: {str(error).splitlines()[0]}", where=where, hint=hint)


def quieten() -> None:
    """Hides messages of Lightning about devices, workers and folders, which don't help users or are shown elsewhere."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for pattern in _SAID_BY_US:
        warnings.filterwarnings("ignore", message=pattern)


def _unknown_argument(error: TypeError, arguments: dict[str, Any]) -> ConfigError:
    import inspect

    valid = list(inspect.signature(lightning.Trainer).parameters)
    for name in arguments:
        if name not in valid:
            return ConfigError(f"there is no key 'trainer.{name}'", hint=did_you_mean(name, valid, noun="key"))
    return ConfigError(str(error), where="trainer")

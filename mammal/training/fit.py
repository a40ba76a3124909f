"""Trains the weights of a run, and takes the best of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mammal import console
from mammal.errors import TrainingError

if TYPE_CHECKING:
    import lightning.pytorch as lightning
    from omegaconf import DictConfig

    from mammal.evaluation.task_data import TaskData
    from mammal.model.model import MammalModel
    from mammal.training.resume import Resumed
    from mammal.training.start import FirstWeights


def fit_model(
    model: MammalModel,
    data: Mapping[str, TaskData],
    config: DictConfig,
    computing: float = 0.0,
    first: FirstWeights | None = None,
    *,
    run_folder: Path | None = None,
) -> lightning.Trainer:
    """Trains the model; afterwards it has the weights of the last step.

    Args:
        model: the model.
        data: rows by task.
        config: configuration of the run.
        computing: seconds in which features of the rows were computed (`build_trainer`).
        first: weights before the first step, if they can be the best ones. None: they can't.
        run_folder: folder of the whole run, if this is a part of it with a folder of its own. None: it is `output`.

    Returns:
        The trainer, which has the checkpoints.

    Raises:
        ConfigError: the monitor, the optimiser or the trainer can't be used as they are set.
        TrainingError: no step was taken, or training can't continue.
        KeyboardInterrupt: the user stopped the run.
    """
    from mammal.training.build import mixture_rates, mixture_settings
    from mammal.training.callbacks import StopRequested
    from mammal.training.datamodule import MixtureData
    from mammal.training.history import one_history
    from mammal.training.module import TrainingModule
    from mammal.training.monitor import check_monitor
    from mammal.training.processes import is_first
    from mammal.training.resume import find_checkpoint, put_aside
    from mammal.training.sampler import Budget
    from mammal.training.start import validate_first
    from mammal.training.trainer import build_trainer, instantiated, is_averaged

    check_monitor(config.monitor, {name: d.task for name, d in data.items()})
    section = config.data
    rows = MixtureData(
        data,
        Budget(section.tokens_per_batch, section.max_rows, section.window),
        rates=mixture_rates(config),
        **mixture_settings(config),
        seed=config.seed,
        num_workers=section.num_workers,
    )
    trainer, steps = build_trainer(config, len(rows.sampler()), computing)
    module = TrainingModule(
        model,
        {name: d.task for name, d in data.items()},
        {name: dict(enumerate(d.rows["valid"])) for name, d in data.items()},
        lambda learner: instantiated(config.optim, "optim", learner),
        instantiated(config.schedule, "schedule"),
        steps,
    )
    if first is not None:
        validate_first(trainer, module, first)
    resumed = find_checkpoint(config, module, averaged=is_averaged(trainer))
    if is_first():
        put_aside(Path(config.output), resumed)
        _tell_resumed(config, resumed)
    try:
        with one_history(Path(config.output), None if resumed is None else resumed.steps):
            path, only = (None, None) if resumed is None else (resumed.path, True)
            trainer.fit(module, datamodule=rows, ckpt_path=path, weights_only=only)
    except StopRequested as stop:
        folder = shlex.quote(f"output={run_folder or config.output}")
        raise KeyboardInterrupt(f"{stop}; repeat the command with {folder} resume=auto to continue") from None
    if trainer.global_step == 0:
        raise TrainingError("no step was taken", hint="check trainer.max_steps, max_epochs and max_time")
    return trainer


def _tell_resumed(config: DictConfig, resumed: Resumed | None) -> None:
    """Says from which step a run continues, or that `resume=auto` found nothing to continue."""
    if resumed is not None:
        console.note(f"resumes from step {resumed.steps:,}, kept in {resumed.path}")
    elif config.resume == "auto":
        console.note(f"resume=auto: {config.output} holds no checkpoint, so training begins with step 0")


def take_best(model: MammalModel, trainer: lightning.Trainer, first: FirstWeights | None = None) -> float | None:
    """Puts the best weights according to `monitor` into the model, if they were saved.

    Args:
        model: the model.
        trainer: the trainer that has fitted it.
        first: weights before the first step, if they can be the best ones. None: they can't.

    Returns:
        Validation loss of the best weights. None: no checkpoint was chosen by `monitor`.
    """
    import torch

    from mammal.training.trainer import checkpoints

    for callback in checkpoints(trainer):
        if callback.monitor and callback.best_model_path and callback.best_model_score is not None:
            best = float(callback.best_model_score)
            if first is not None and first.beat(callback.monitor, callback.mode, best):
                figures = f"{callback.monitor} {first.figures[callback.monitor]:.4g}, after training {best:.4g}"
                console.note(f"the weights before the first step are the best ones: {figures}")
                model.load_state_dict(first.weights)
                return first.figures.get("valid/loss")
            stored = torch.load(callback.best_model_path, map_location="cpu", weights_only=True)
            model.load_state_dict({name.removeprefix("model."): w for name, w in stored["state_dict"].items()})
            return stored["going_on"]["valid_loss"]
    return None

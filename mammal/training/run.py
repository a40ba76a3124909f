"""One training run, from its configuration to a bundle.

`run_data.py` loads the rows, `fit.py` trains, and `outcome.py` evaluates and saves what was trained.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mammal import console
from mammal.training.applicability import stored_rows
from mammal.training.fit import fit_model, take_best
from mammal.training.outcome import evaluate_tasks, save_trained
from mammal.training.pretraining_rows import check_start_rows
from mammal.training.run_data import load_run_data

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.evaluation.results import TaskResult
    from mammal.evaluation.task_data import TaskData
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task
    from mammal.tokenization.tokenizer import Tokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """The result of a run.

    Attributes:
        bundle: folder of the saved bundle.
        best_loss: validation loss of the best weights according to `monitor`; None without validation. Of an ensemble
            of fine-tuned members: the mean of theirs.
        steps: number of optimiser steps, including those before the run was resumed.
        seconds: duration of the run.
        results: results on the test rows, one for each task; empty with `test=false`.
        valid: figures of the saved weights on the validation rows, as `valid/TASK/METRIC`.
    """

    bundle: Path
    best_loss: float | None
    steps: int
    seconds: float
    results: list[TaskResult] = field(default_factory=list)
    valid: dict[str, float] = field(default_factory=dict)


def train(config: DictConfig, config_dirs: Sequence[Path] = ()) -> TrainingResult:
    """Performs the training run that a configuration describes.

    Args:
        config: configuration composed from `configs/train.yaml` (`mammal.configuration.compose.compose`).
        config_dirs: folders of the user in which the tasks of a mixture are found by name.

    Raises:
        ConfigError: a setting can't work; nothing was trained.
        TaskError: a task can't work; nothing was trained.
        DataError: data can't be found or read; nothing was trained.
        BundleError: the model at `init` can't be read; nothing was trained.
        TrainingError: training can't continue; the last good checkpoint is kept.
        KeyboardInterrupt: the user stopped the run; the message names the checkpoint that is kept.
    """
    import lightning.pytorch as lightning
    from lightning.pytorch.strategies import FSDPStrategy

    from mammal.tasks.declaration.registry import searching
    from mammal.training import adapt, build
    from mammal.training.members import check_members, is_ensemble
    from mammal.training.probe import check_probe
    from mammal.training.processes import is_first
    from mammal.training.record import record_of
    from mammal.training.run_folder import check_run_folder
    from mammal.training.start import FirstWeights, check_start, fit_heads
    from mammal.training.trainer import device_before_fit, quieten

    begun = time.monotonic()
    quieten()
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    output = Path(config.output)
    declared = build.task_configs(config, config_dirs)
    check_run_folder(config, declared)
    adapt.check_saving(config)
    applicability = stored_rows(config)
    adapt.warn_of_random_weights(config)
    tokenizer = build.build_tokenizer(config, declared)
    tasks = build.build_tasks(declared, tokenizer)
    if config.adapt.method == "probe":
        check_probe(config, tasks)
    check_start(config, tasks)
    check_members(config, tasks)
    adapt.check_changes(config, tasks)
    output.mkdir(parents=True, exist_ok=True)
    with searching(config_dirs):
        data, computing = load_run_data(tasks, config, output)
    if is_first():
        check_start_rows(data, config)
    if config.adapt.method == "probe":
        return _probe(output, tokenizer, data, config, begun)
    model = build.build_model(config, tokenizer, tasks)
    if is_ensemble(config):
        return _ensemble(output, model, tokenizer, data, config, begun, computing)
    adapt.shrink(model, float(config.adapt.get("shrink", 1.0)))
    if config.adapt.get("start") == "probe":
        fit_heads(model.to(device_before_fit(config)), data, tokenizer, config.init)
        model.cpu()
    adapt.adapt(model, config.adapt)
    first = FirstWeights.of(model) if config.adapt.get("start") == "probe" else None
    if is_first():
        console.note(_summary(config, model, data, output))
        _tell_positive_classes(tasks)
    trainer = fit_model(model, data, config, computing, first)
    if isinstance(trainer.strategy, FSDPStrategy):  # this model is split; the best checkpoint contains all of it
        model = build.build_model(config, tokenizer, tasks)
        adapt.adapt(model, config.adapt)
    best_loss = take_best(model, trainer, first)
    if not trainer.is_global_zero:
        return TrainingResult(output / "bundle", best_loss, trainer.global_step, time.monotonic() - begun)
    adapt.fold_adapters(model)
    model.to(trainer.strategy.root_device)  # Lightning has moved it to the CPU
    results, valid = evaluate_tasks(model.eval(), data, test=config.test, applicability=applicability)
    bundle = save_trained(output, model, tokenizer, data, results, config, record_of(trainer, config))
    seconds = time.monotonic() - begun
    console.note(f"done in {console.clock(seconds)}: {bundle}")
    return TrainingResult(bundle, best_loss, trainer.global_step, seconds, results, valid)


def _probe(
    output: Path, tokenizer: Tokenizer, data: Mapping[str, TaskData], config: DictConfig, begun: float
) -> TrainingResult:
    """Fits probes on the states of the model at `init`, in place of training."""
    from mammal.tasks.probes.task_probes import ALL
    from mammal.training import adapt, build
    from mammal.training.all_rows import fit_on_all_rows
    from mammal.training.probe import check_encoder, fit_probes
    from mammal.training.resume import put_aside

    tasks = {name: d.task for name, d in data.items()}
    model = build.build_model(config, tokenizer, {})  # heads and projections of the tasks would stay random
    check_encoder(model, tasks)
    adapt.adapt(model, config.adapt)
    console.note(_summary(config, model, data, output))
    _tell_positive_classes(tasks)
    put_aside(output, None)
    fit_probes(model.eval(), data, config)
    results, valid = evaluate_tasks(model, data, test=config.test, applicability=stored_rows(config))
    if config.adapt.rows == ALL:
        for d in data.values():
            fit_on_all_rows(model, d, stored_rows(config))
    bundle = save_trained(output, model, tokenizer, data, results, config)
    seconds = time.monotonic() - begun
    console.note(f"done in {console.clock(seconds)}: {bundle}")
    return TrainingResult(bundle, None, 0, seconds, results, valid)


def _ensemble(
    output: Path,
    model: MammalModel,
    tokenizer: Tokenizer,
    data: Mapping[str, TaskData],
    config: DictConfig,
    begun: float,
    computing: float,
) -> TrainingResult:
    """Trains members that share the model, and calibrates and evaluates what they answer together."""
    from mammal.training.members import join_members, record_of_members, train_members
    from mammal.training.trainer import device_before_fit

    console.note(f"{_summary(config, model, data, output)}; {config.adapt.ensemble} members")
    _tell_positive_classes({name: d.task for name, d in data.items()})
    members = train_members(model, data, tokenizer, config, computing)
    join_members(model, members, config)
    model.to(device_before_fit(config)).eval()
    results, valid = evaluate_tasks(model, data, test=config.test, applicability=stored_rows(config))
    trained = record_of_members(members)
    bundle = save_trained(output, model, tokenizer, data, results, config, trained)
    seconds = time.monotonic() - begun
    console.note(f"done in {console.clock(seconds)}: {bundle}")
    losses = [member.best_loss for member in members if member.best_loss is not None]
    best_loss = sum(losses) / len(losses) if len(losses) == len(members) else None
    return TrainingResult(bundle, best_loss, trained.facts["steps"], seconds, results, valid)


def _tell_positive_classes(tasks: Mapping[str, Task]) -> None:
    """Which of two labels is the positive class, and a warning where the words of the labels say the other one."""
    from mammal.tasks.targets.positive import known_positive

    for name, task in tasks.items():
        if task.family != "classification" or len(labels := task.config.labels) != 2:
            continue
        console.note(f"{name}: positive: {labels[1]}")
        if (meant := known_positive(labels)) not in (None, labels[1]):
            logger.warning(
                "%s: %r looks like the positive class; labels: [%s, %s] makes it", name, meant, *labels[::-1]
            )


def _summary(config: DictConfig, model: MammalModel, data: Mapping[str, TaskData], output: Path) -> str:
    learning = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    total = sum(weight.numel() for weight in model.parameters())
    share = "" if learning == total else f", of which {learning / 1e6:.2f} M learn"
    rows = ", ".join(f"{name} {len(d.lengths_N('train')):,} rows" for name, d in data.items())
    return f"{config.name}: {total / 1e6:.2f} M parameters{share}; {rows}; into {output}"

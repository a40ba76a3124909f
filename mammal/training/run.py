"""One training run, from its configuration to a bundle: build, fit, calibrate, evaluate, save."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.errors import ConfigError, TrainingError
from mammal.files import finite

if TYPE_CHECKING:
    import lightning.pytorch as lightning
    from omegaconf import DictConfig

    from mammal.evaluation.results import TaskResult
    from mammal.evaluation.task_data import TaskData
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task
    from mammal.tokenization.tokenizer import Tokenizer
    from mammal.training.record import Trained
    from mammal.training.resume import Resumed
    from mammal.training.start import FirstWeights

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """The result of a run.

    Attributes:
        bundle: folder of the saved bundle.
        best_loss: validation loss of the best weights according to `monitor`; None without validation.
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

    from mammal.training import adapt, build
    from mammal.training.probe import check_probe
    from mammal.training.processes import is_first
    from mammal.training.record import record_of
    from mammal.training.run_folder import check_run_folder
    from mammal.training.start import FirstWeights, check_start, fit_heads
    from mammal.training.trainer import quieten

    begun = time.monotonic()
    quieten()
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    output = Path(config.output)
    declared = build.task_configs(config, config_dirs)
    check_run_folder(config, declared)
    output.mkdir(parents=True, exist_ok=True)
    adapt.check_saving(config)
    adapt.warn_of_random_weights(config)
    tokenizer = build.build_tokenizer(config, declared)
    tasks = build.build_tasks(declared, tokenizer)
    if config.adapt.method == "probe":
        check_probe(config, tasks)
    check_start(config, tasks)
    data, computing = _load_data(tasks, config, output)
    if config.adapt.method == "probe":
        return _probe(output, tokenizer, data, config, begun)
    model = build.build_model(config, tokenizer, tasks)
    if config.adapt.get("start") == "probe":
        fit_heads(model, data, tokenizer, config.init)
    adapt.adapt(model, config.adapt)
    first = FirstWeights.of(model) if config.adapt.get("start") == "probe" else None
    if is_first():
        console.note(_summary(config, model, data, output))
        _tell_positive_classes(tasks)
    trainer = _fit(model, data, config, computing, first)
    if isinstance(trainer.strategy, FSDPStrategy):  # this model is split; the best checkpoint contains all of it
        model = build.build_model(config, tokenizer, tasks)
        adapt.adapt(model, config.adapt)
    best_loss = _take_best(model, trainer, first)
    if not trainer.is_global_zero:
        return TrainingResult(output / "bundle", best_loss, trainer.global_step, time.monotonic() - begun)
    adapt.fold_adapters(model)
    results, valid = _judge(model.eval(), data, test=config.test)
    bundle = _save(output, model, tokenizer, data, results, config, record_of(trainer, config))
    seconds = time.monotonic() - begun
    console.note(f"done in {console.clock(seconds)}: {bundle}")
    return TrainingResult(bundle, best_loss, trainer.global_step, seconds, results, valid)


def _probe(
    output: Path, tokenizer: Tokenizer, data: Mapping[str, TaskData], config: DictConfig, begun: float
) -> TrainingResult:
    """Fits probes on the states of the model at `init`, in place of training."""
    from mammal.training import adapt, build
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
    results, valid = _judge(model, data, test=config.test)
    bundle = _save(output, model, tokenizer, data, results, config)
    seconds = time.monotonic() - begun
    console.note(f"done in {console.clock(seconds)}: {bundle}")
    return TrainingResult(bundle, None, 0, seconds, results, valid)


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


def _load_data(tasks: Mapping[str, Task], config: DictConfig, output: Path) -> tuple[dict[str, TaskData], float]:
    """Loads the rows of every task; splits and unusable rows are written into the folder of the run.

    Returns:
        The rows by task, and the seconds in which their features were computed.
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


def _fit(
    model: MammalModel,
    data: Mapping[str, TaskData],
    config: DictConfig,
    computing: float = 0.0,
    first: FirstWeights | None = None,
) -> lightning.Trainer:
    """Trains the model; afterwards it has the weights of the last step. `computing`: see `build_trainer`."""
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
        raise KeyboardInterrupt(
            f"{stop}; repeat the command with {shlex.quote(f'output={config.output}')} resume=auto to continue"
        ) from None
    if trainer.global_step == 0:
        raise TrainingError("no step was taken", hint="check trainer.max_steps, max_epochs and max_time")
    return trainer


def _tell_resumed(config: DictConfig, resumed: Resumed | None) -> None:
    """Says from which step a run continues, or that `resume=auto` found nothing to continue."""
    if resumed is not None:
        console.note(f"resumes from step {resumed.steps:,}, kept in {resumed.path}")
    elif config.resume == "auto":
        console.note(f"resume=auto: {config.output} holds no checkpoint, so training begins with step 0")


def _take_best(model: MammalModel, trainer: lightning.Trainer, first: FirstWeights | None = None) -> float | None:
    """Puts the best weights according to `monitor` into the model, if they were saved; returns their loss."""
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


def _judge(
    model: MammalModel, data: Mapping[str, TaskData], *, test: bool
) -> tuple[list[TaskResult], dict[str, float]]:
    """Evaluates and calibrates each task on its validation rows, then evaluates it on its test rows."""
    from mammal.evaluation.evaluate_task import answers_of, evaluate_task
    from mammal.training.module import READ_FAMILIES

    results, valid = [], {}
    for d in data.values():
        if d.task.family in READ_FAMILIES and len(d.rows["valid"]):
            answers = answers_of(model, d.task, d.rows["valid"])
            figures = d.task.metrics(answers, d.rows["valid"])
            valid.update({f"valid/{d.task.name}/{name}": value for name, value in figures.items()})
            d.task.calibrate(answers, d.rows["valid"])
        if test and len(d.rows["test"]):
            result = evaluate_task(model, d)
            results.append(result)
            estimates = ", ".join(f"{name} {estimate}" for name, estimate in result.ours.estimates.items())
            console.note(f"test {d.task.name}: {estimates}")
    return results, valid


def _save(
    output: Path,
    model: MammalModel,
    tokenizer: Tokenizer,
    data: Mapping[str, TaskData],
    results: list[TaskResult],
    config: DictConfig,
    trained: Trained | None = None,
) -> Path:
    """Writes the bundle of a run. `trained`: what the training was; None for probes."""
    from mammal.bundle.card import TRAINING, Card
    from mammal.bundle.folder import save_bundle
    from mammal.evaluation.results import as_metrics, save_results
    from mammal.training import adapt
    from mammal.training.build import vector_widths

    if results:
        save_results(results, output / "evaluation")
    card = Card(
        name=str(config.name),
        data={
            name: f"{d.task.config.about}. Licence: {d.task.config.licence or 'not stated'}" for name, d in data.items()
        },
        command=_command(),
    )
    splits = {name: {"test": _split_of(d)} for name, d in data.items()}
    metrics = finite({**splits, **as_metrics(results), "seed": config.seed})
    if trained is not None:
        metrics[TRAINING] = trained.facts
    losses = None if trained is None else trained.losses
    folder, tasks = output / "bundle", [d.task for d in data.values()]
    model.keep_vector_heads(vector_widths({task.name: task for task in tasks}))  # others belong to the model at init
    adaptation = adapt.record(model, config, folder)
    delta = config.adapt.save == "adapters"
    how: dict[str, Any] = {"adaptation": adaptation, "delta": delta, "losses": losses}
    return save_bundle(folder, model, tokenizer, tasks, metrics, card, **how)


def _split_of(data: TaskData) -> dict[str, Any]:
    """Record of test rows that were not evaluated: it shows whether another run had the same test rows."""
    record = data.record
    facts = {"split": record.split.how, "split_hash": record.split.hash, "rows": len(data.rows["test"])}
    return facts | {"leaking_rows": record.leakage.get("test")}


def _command() -> str:
    """The command line of this run, as a shell reads it; empty for a run from Python."""
    from hydra.core.hydra_config import HydraConfig

    from mammal.configuration.arguments import arguments_of
    from mammal.configuration.compose import command_line

    return command_line("train", arguments_of(HydraConfig.get())) if HydraConfig.initialized() else ""


def _summary(config: DictConfig, model: MammalModel, data: Mapping[str, TaskData], output: Path) -> str:
    learning = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    total = sum(weight.numel() for weight in model.parameters())
    share = "" if learning == total else f", of which {learning / 1e6:.2f} M learn"
    rows = ", ".join(f"{name} {len(d.lengths_N('train')):,} rows" for name, d in data.items())
    return f"{config.name}: {total / 1e6:.2f} M parameters{share}; {rows}; into {output}"

"""`adapt=lora` and `adapt=head` with `adapt.ensemble=N`: N members on one shared model, trained one after the other.

A member is a training run of its own with all training rows: member number n has the seed `seed + n - 1`, on which the
initial weights of its new heads and adapters, its dropout and its order of rows depend (deep ensembles,
Lakshminarayanan et al. 2017). Its checkpoints are in `members/n/` in the folder of the run.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.configuration.plain import plain
from mammal.errors import BundleError, ConfigError
from mammal.files import read_json
from mammal.training.resume import CHECKPOINTS, EVALUATION, MEMBERS, put_aside

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig
    from torch import Tensor

    from mammal.evaluation.task_data import TaskData
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task
    from mammal.tokenization.tokenizer import Tokenizer
    from mammal.training.record import Trained

MOST_MEMBERS = 50
METHODS = ("lora", "head")
_TENSORS, _RECORD, _LOSSES = "member.safetensors", "member.json", "losses.csv"
_SAME = ("adapt", "data", "optim", "schedule", "trainer", "init", "seed", "monitor")
"""Sections and keys of the configuration that all members of an ensemble have in common, except for their seed."""


@dataclass(frozen=True)
class Member:
    """A trained member.

    Attributes:
        tensors: its own weights, by published name, on the CPU.
        facts: what its training was, as in `metrics.json`.
        best_loss: validation loss of its best weights; None without validation.
        losses: its validation losses by step; None if there were none.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    best_loss: float | None
    losses: pd.DataFrame | None


def is_ensemble(config: DictConfig) -> bool:
    """Whether a run trains several members of fine-tuned models.

    Args:
        config: configuration of the run.
    """
    return config.adapt.method in METHODS and int(config.adapt.get("ensemble", 1)) > 1


def check_members(config: DictConfig, tasks: Mapping[str, Task]) -> None:
    """Refuses, before data are loaded, an ensemble that can't work.

    Args:
        config: configuration of the run.
        tasks: tasks of the run, by name.

    Raises:
        ConfigError: the number of members is wrong, they would have no model to share, the run has several processes,
            or `resume` names a file.
        TaskError: the answers of a task can't be averaged.
    """
    section = config.adapt
    if section.method not in METHODS or section.ensemble == 1:
        return
    if not 1 <= section.ensemble <= MOST_MEMBERS:
        what = f"must be 1 to {MOST_MEMBERS}, not {section.ensemble}"
        raise ConfigError(what, where="adapt.ensemble", hint="5 is usual; 1 is a single model")
    if not config.init:
        hint = "init=BUNDLE gives the model, or adapt.ensemble=1"
        raise ConfigError("its members share the model at init, and there is none", where="adapt.ensemble", hint=hint)
    if config.resume not in (None, False, "auto"):
        what = "an ensemble has checkpoints of each member, and a file is of one"
        raise ConfigError(what, where="resume", hint="resume=auto continues the run in output")
    if _has_several_processes(config):
        hint = "trainer.devices=1 trainer.num_nodes=1"
        raise ConfigError("members are trained in one process", where="adapt.ensemble", hint=hint)
    for task in tasks.values():
        task.check_averages()


def train_members(
    shared: MammalModel, data: Mapping[str, TaskData], tokenizer: Tokenizer, config: DictConfig, computing: float = 0.0
) -> list[Member]:
    """Trains the members that are not trained yet, one after the other. With `resume=auto` the others are kept.

    Args:
        shared: the model that the members share, as the run of each of them starts with. It does not change.
        data: rows by task.
        tokenizer: tokenizer of the run.
        config: configuration of the run.
        computing: seconds in which features of the rows were computed. They count for the first member.

    Returns:
        The members.

    Raises:
        ConfigError: a member in the folder of the run was trained with other settings.
        TrainingError: training can't continue; members that are done and the last good checkpoint are kept.
        KeyboardInterrupt: the user stopped the run.
    """
    output, count = Path(config.output), int(config.adapt.ensemble)
    _put_aside(output, config)
    found = []
    for number in range(1, count + 1):
        own = _of_member(config, number)
        member = _done(Path(own.output), own)
        if member is None:
            console.note(f"member {number} of {count}, seed {own.seed}")
            member = _train(shared, data, tokenizer, own, computing if number == 1 else 0.0, output)
            _keep(member, Path(own.output), own)
        else:
            console.note(f"member {number} of {count} is trained already")
        found.append(member)
    return found


def join_members(shared: MammalModel, members: list[Member], config: DictConfig) -> None:
    """Gives the shared model its members, and the heads that it lacks at `init`, which are those of the first member.

    Args:
        shared: the model that the members share; it is changed in place.
        members: the trained members.
        config: configuration of the run.
    """
    from mammal.bundle.adaptation import load_model
    from mammal.bundle.locate import locate
    from mammal.model.members import add_members

    at_init = {name for name, _ in load_model(locate(config.init))[0].named_parameters()}
    for name, weight in shared.named_parameters():
        weight.requires_grad_(name not in at_init)  # an adapter bundle contains these
        if name not in at_init and name in members[0].tensors:
            weight.data.copy_(members[0].tensors[name])
    shared.adapters = {}
    add_members(shared, [member.tensors for member in members], float(config.adapt.get("alpha", 0.0)))


def record_of_members(members: list[Member]) -> Trained:
    """Returns what the training of an ensemble was: sums over the members, and the mean of their validation losses.

    Args:
        members: the trained members.
    """
    import pandas as pd

    from mammal.training.record import Trained

    facts = {"members": len(members), **members[0].facts}
    facts |= {name: sum(member.facts[name] for member in members) for name in ("steps", "rows", "tokens", "seconds")}
    tables = [member.losses for member in members if member.losses is not None]
    losses = pd.concat(tables).groupby("step", as_index=False).mean() if tables else None
    return Trained(facts, losses)


def _train(
    shared: MammalModel,
    data: Mapping[str, TaskData],
    tokenizer: Tokenizer,
    config: DictConfig,
    computing: float,
    output: Path,
) -> Member:
    """Trains a member; `config` is its own, and `output` the folder of the whole run."""
    import lightning.pytorch as lightning

    from mammal.model.delta import learned_tensors
    from mammal.training import adapt, build
    from mammal.training.fit import fit_model, take_best
    from mammal.training.record import record_of
    from mammal.training.start import FirstWeights, fit_heads
    from mammal.training.trainer import LAST, device_before_fit

    if not (Path(config.output) / CHECKPOINTS / LAST).is_file():
        config.resume = None
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    tasks = {name: d.task for name, d in data.items()}
    model = build.build_model(config, tokenizer, tasks, report=False)
    if config.adapt.start == "probe":
        fit_heads(model.to(device_before_fit(config)), data, tokenizer, config.init)
        model.cpu()
    adapt.adapt(model, config.adapt)
    first = FirstWeights.of(model) if config.adapt.start == "probe" else None
    trainer = fit_model(model, data, config, computing, first, run_folder=output)
    best_loss = take_best(model, trainer, first)
    adapt.fold_adapters(model)
    common = dict(shared.named_parameters())
    tensors = {
        name: tensor
        for name, tensor in learned_tensors(model).items()
        if name not in common or not tensor.equal(common[name].detach().cpu())
    }
    trained = record_of(trainer, config)
    return Member(tensors, trained.facts, best_loss, trained.losses)


def _of_member(config: DictConfig, number: int) -> DictConfig:
    """The configuration of the training run of a member."""
    from omegaconf import open_dict

    own = copy.deepcopy(config)
    with open_dict(own):
        own.output = str(Path(config.output) / MEMBERS / str(number))
        own.seed = config.seed + number - 1
        own.adapt.ensemble = 1
    return own


def _keep(member: Member, folder: Path, config: DictConfig) -> None:
    """Writes a trained member into its folder. The record is written last: a member with a record is done."""
    from safetensors.torch import save_file

    from mammal.tasks.tables.atomic import atomic_file

    if member.losses is not None:
        member.losses.to_csv(folder / _LOSSES, index=False)
    with atomic_file(folder / _TENSORS) as partial:
        save_file(dict(member.tensors), partial)
    record = {"settings": _settings(config), "facts": dict(member.facts), "best_loss": member.best_loss}
    with atomic_file(folder / _RECORD) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _done(folder: Path, config: DictConfig) -> Member | None:
    """The member in a folder if it is trained; None: it is not."""
    if config.resume != "auto" or not (folder / _RECORD).is_file():
        return None
    import pandas as pd
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    record, settings = read_json(folder / _RECORD), _settings(config)
    if changed := [name for name, value in settings.items() if record["settings"].get(name) != value]:
        name = changed[0]
        what = f"was trained with {name}={record['settings'].get(name)}, and this run has {name}={settings[name]}"
        raise ConfigError(what, where=str(folder), hint="another output=, or leave resume=auto out")
    try:
        tensors = load_file(folder / _TENSORS)
    except (OSError, SafetensorError) as error:
        hint = f"remove {folder / _RECORD}, and the member is trained again"
        raise BundleError(f"is missing or damaged: {error}", where=str(folder / _TENSORS), hint=hint) from error
    losses = pd.read_csv(folder / _LOSSES) if (folder / _LOSSES).is_file() else None
    return Member(tensors, record["facts"], record["best_loss"], losses)


def _settings(config: DictConfig) -> dict[str, Any]:
    """Everything in the configuration of a member that its weights depend on, by key."""
    found: dict[str, Any] = {"tasks": sorted(_tasks(config))}
    for name in _SAME:
        value = plain(config[name]) if hasattr(config[name], "keys") else config[name]
        found |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    found.pop("adapt.save")
    return json.loads(json.dumps(found, default=str))  # as they are read from the record


def _tasks(config: DictConfig) -> list[str]:
    if config.get("task"):
        return [str(config.task.name)]
    tasks = plain(config.mixture)["tasks"]
    return [str(name) for name in tasks]


def _put_aside(output: Path, config: DictConfig) -> None:
    """Moves what an earlier run left in the folder to `earlier/`, unless this run continues it."""
    if config.resume == "auto" and any((output / MEMBERS).glob("*")):
        shutil.rmtree(output / EVALUATION, ignore_errors=True)
        return
    put_aside(output, None)


def _has_several_processes(config: DictConfig) -> bool:
    import torch

    devices, nodes = plain(config.trainer).get("devices", 1), config.trainer.get("num_nodes", 1)
    if devices in ("auto", -1, "-1"):
        on_cpu = config.trainer.get("accelerator") == "cpu" or not torch.cuda.is_available()
        return nodes != 1 or (not on_cpu and torch.cuda.device_count() > 1)
    if isinstance(devices, str) and "," in devices:
        devices = [one for one in devices.split(",") if one.strip()]
    return nodes != 1 or (len(devices) if isinstance(devices, list) else int(devices)) != 1

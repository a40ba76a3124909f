"""Builds what a run starts with: tokenizer, tasks and model, new or from a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.configuration.plain import plain
from mammal.errors import ConfigError, MammalError, did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.model.model import MammalModel
    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tasks.task import Task
    from mammal.tokenization.tokenizer import Tokenizer

logger = logging.getLogger(__name__)


def task_configs(config: DictConfig, config_dirs: Sequence[str | Path] = ()) -> dict[str, TaskConfig]:
    """Loads the declarations of the tasks of a run: `task=…`, or those of `mixture=…` with the changes made there.

    Args:
        config: configuration of the run.
        config_dirs: folders of the user in which tasks of a mixture are found by name.

    Returns:
        The declarations by name of the task.

    Raises:
        ConfigError: none or both of `task` and `mixture` are given, or the mixture is not a mapping of tasks.
        TaskError: a task does not exist or its declaration is invalid.
    """
    from mammal.tasks.declaration.registry import load_task

    single, mixture = config.get("task"), config.get("mixture")
    if bool(single) == bool(mixture):
        what = "both task and mixture are given" if single else "nothing to train on"
        raise ConfigError(what, where="mammal train", hint="task=NAME or mixture=NAME; `mammal tasks` lists tasks")
    if single:
        task = load_task(plain(single))
        return {task.name: task}
    tasks = {}
    for name, changes in _mixture_tasks(mixture).items():
        own = {key: value for key, value in changes.items() if key != "rate"}
        tasks[name] = load_task(name, own, config_dirs=config_dirs)
    return tasks


def mixture_rates(config: DictConfig) -> dict[str, float]:
    """Returns the `rate` of each task of the mixture; 1 if none is given."""
    mixture = config.get("mixture")
    return (
        {name: float(changes.get("rate", 1.0)) for name, changes in _mixture_tasks(mixture).items()} if mixture else {}
    )


def mixture_settings(config: DictConfig) -> dict[str, Any]:
    """Returns the settings of a mixture that influence the shares of its tasks: `temperature` and `max_passes`.

    Args:
        config: configuration of the run.

    Raises:
        ConfigError: a key is unknown.
    """
    defaults = {"temperature": 1.0, "max_passes": None}
    mixture = plain(config.mixture) if config.get("mixture") else {}
    known = {"name", "tasks", *defaults}
    if unknown := sorted(set(mixture) - known):
        hint = did_you_mean(unknown[0], known, noun="key")
        raise ConfigError(f"there is no key 'mixture.{unknown[0]}'", where="mixture", hint=hint)
    return {name: mixture.get(name, default) for name, default in defaults.items()}


def _mixture_tasks(mixture: Any) -> dict[str, dict[str, Any]]:
    tasks = plain(mixture).get("tasks")
    if isinstance(tasks, list):
        tasks = dict.fromkeys(tasks)
    if not isinstance(tasks, dict) or not tasks:
        raise ConfigError("mixture.tasks must name tasks", hint="mixture.tasks={bbbp: {rate: 1}, esol: {rate: 2}}")
    return {str(name): dict(changes or {}) for name, changes in tasks.items()}


def build_tokenizer(config: DictConfig, tasks: Mapping[str, TaskConfig]) -> Tokenizer:
    """Builds the tokenizer of the run, with the special tokens that its tasks need.

    A tag that the tokenizer lacks is added if it is in the vocabulary of this package (for example, a published
    tokenizer has no `<BBBP>`) or in `new_tokens`. The check of the templates refuses all others.

    Args:
        config: configuration of the run.
        tasks: declarations by name of the task.
    """
    from mammal.tokenization.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(_tokenizer_source(config))
    wanted = {str(token) for token in config.new_tokens}
    missing = {tag for task in tasks.values() for tag in _tags(task)} - set(tokenizer.specials)
    if missing - wanted:
        wanted |= missing & set(Tokenizer.load(None).specials)
    if new := sorted(wanted - set(tokenizer.specials)):
        tokenizer.add_special_tokens(new)
        logger.info("special tokens added: %s", " ".join(new))
    return tokenizer


def _tags(task: TaskConfig) -> set[str]:
    """Tags in the prompts of a task: those of the template, and those of its entities."""
    from mammal.tokenization.entities import ENTITIES
    from mammal.tokenization.prompt import find_tags
    from mammal.tokenization.template import Template

    template = Template(task.prompt.input, task.prompt.target, raw=task.prompt.raw)
    written = {tag.text for text in (template.input, template.target) if text for tag in find_tags(text)}
    named = {slot.name for slot in template.slots if slot.kind == "entity"} & set(ENTITIES)
    return written | {tag for name in named for tag in ENTITIES[name].tags}


def _tokenizer_source(config: DictConfig) -> Any:
    from mammal.bundle.locate import locate

    if config.tokenizer:
        return config.tokenizer
    return locate(config.init).folder if config.init else None


def build_tasks(configs: Mapping[str, TaskConfig], tokenizer: Tokenizer) -> dict[str, Task]:
    from mammal.tasks.kinds.build import build_task

    return {name: build_task(config, tokenizer) for name, config in configs.items()}


def build_model(
    config: DictConfig, tokenizer: Tokenizer, tasks: Mapping[str, Task], *, report: bool = True
) -> MammalModel:
    """Builds a model with random weights and the sizes of `model=…`, or loads the model at `init`.

    The model gets weights for the features of the tasks, vector heads for those that they predict, and the other heads
    and projections that a task needs; those that a model at `init` lacks are reported. Vector heads of a model at
    `init` stay, also if no task uses them. With `adapt.decoder_layers`, its decoder gets more layers.

    Args:
        config: configuration of the run.
        tokenizer: tokenizer of the run.
        tasks: tasks by name.
        report: write a note of each head and projection that the model at `init` lacks.

    Raises:
        ConfigError: a size is not a number, the embedding of the checkpoint has no row for a token of the tokenizer, or
            its decoder has more layers than `adapt.decoder_layers`.
        BundleError: there is no checkpoint at `init`, or it is damaged.
    """
    from mammal.model.grown import grow_decoder
    from mammal.model.model import MammalModel

    if config.init:
        from mammal.bundle.adaptation import load_model
        from mammal.bundle.locate import locate

        model, _ = load_model(locate(config.init))
        model.members = ()  # training starts from the model that they share
        if (layers := config.adapt.get("decoder_layers")) is not None:
            grow_decoder(model, int(layers))
        highest = max(
            [*tokenizer.specials.values(), *(int(tokenizer.alphabet_ids(a)[-1]) for a in tokenizer.alphabets)]
        )
        if highest >= model.config.vocab_size:
            what = f"its embedding has {model.config.vocab_size:,} rows, the tokenizer has ids up to {highest:,}"
            raise ConfigError(what, where=str(config.init), hint="use the tokenizer that belongs to it")
        model.add_external_embeddings(feature_widths(tasks))
        model.add_vector_heads(vector_widths(tasks))
        _add_missing(model, tasks, report=report)
        return model.train()
    shape = model_config(config.model, tokenizer)
    shape = replace(shape, external_embeddings=feature_widths(tasks), vector_heads=vector_widths(tasks))
    if asks_decoder_for_numbers(tasks):
        shape = replace(shape, decoder_scalars=True, support_input_scalars=True)
    model = MammalModel(shape)
    _add_missing(model, tasks, report=report)
    return model.train()


def _add_missing(model: MammalModel, tasks: Mapping[str, Task], *, report: bool) -> None:
    """Adds the heads and projections that tasks need and the model lacks, with random weights, and reports each."""
    from mammal.training.processes import is_first

    added: list[tuple[str, str]] = []
    for name, task in tasks.items():
        wanted = task.wants
        numbers = "values" in wanted
        if numbers and task.mode == "decoder":
            if not model.config.decoder_scalars:
                added.append((name, "scalar head of the decoder"))
            model.add_decoder_scalars()
        if numbers and task.mode == "encoder" and not task.head_widths and model.scalars_prediction_head is None:
            added.append((name, "scalar head of the encoder"))
            model.add_encoder_scalars()
        if "logits" in wanted and task.mode == "encoder" and model.encoder_head is None:
            added.append((name, "token head of the encoder"))
            model.add_encoder_head()
        if _reads_numbers(task) and not model.config.support_input_scalars:
            added.append((name, "projection of numbers in prompts"))
            model.add_input_scalars()
    for name, part in added if report and is_first() else ():
        console.note(f"{name}: the model has no {part}; a new one is trained")


def _reads_numbers(task: Task) -> bool:
    """Whether the input of a task has numbers, which a model without their projection would ignore."""
    written = "<@TOKENIZER-TYPE=SCALARS_LITERALS>" in task.template.input
    return written or any(slot.part == "input" and slot.kind == "scalar" for slot in task.template.slots)


def asks_decoder_for_numbers(tasks: Mapping[str, Task]) -> bool:
    """Whether the target of any task contains numbers that the scalar head of the decoder must predict."""
    return any(task.mode == "decoder" and "values" in task.wants for task in tasks.values())


def feature_widths(tasks: Mapping[str, Task]) -> dict[str, int]:
    """Returns the width of every feature in the prompts of the tasks.

    Args:
        tasks: tasks by name.

    Raises:
        ConfigError: two tasks use the same feature with different widths.
    """
    every = {name: {f.name: f.width for f in task.features.values()} for name, task in tasks.items()}
    return _widths(tasks, every)


def vector_widths(tasks: Mapping[str, Task]) -> dict[str, int]:
    """Returns the number of outputs of every vector head that a task needs, by name of the head.

    Args:
        tasks: tasks by name.

    Raises:
        ConfigError: two tasks predict the same feature with different widths, or their names give the same head.
    """
    whose: dict[str, str] = {}
    for task in tasks.values():
        for head in task.head_widths.keys() - task.predicted_features.keys():
            if whose.setdefault(head, task.name) != task.name:
                what = f"tasks {whose[head]} and {task.name} would share the head {head}"
                raise ConfigError(what, where="mixture", hint="rename one: names must differ in letters, digits or _")
    return _widths(tasks, {name: task.head_widths for name, task in tasks.items()})


def _widths(tasks: Mapping[str, Task], of_tasks: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    widths: dict[str, int] = {}
    for name, task in tasks.items():
        for feature, width in of_tasks[name].items():
            if widths.setdefault(feature, width) != width:
                what = f"{feature} has width {widths[feature]} in one task, {width} in {task.name}"
                raise ConfigError(what, where="mixture", hint="use the same esm2 model in all tasks of a run")
    return widths


def model_config(section: DictConfig, tokenizer: Tokenizer) -> Any:
    """The ModelConfig of a section `model`; token ids and vocabulary size are those of the tokenizer."""
    from dataclasses import fields

    from mammal.model.config import ModelConfig

    values = plain(section)
    names = [field.name for field in fields(ModelConfig)]
    for name, value in values.items():
        if name not in names:
            raise ConfigError(f"there is no key 'model.{name}'", hint=did_you_mean(name, names, noun="key"))
        whole = name.startswith(("d_", "num_"))
        if whole and (isinstance(value, bool) or not isinstance(value, int)):
            raise ConfigError(f"model.{name} must be a whole number, not {value!r}")
    of_tokenizer = {
        "vocab_size": tokenizer.vocab_rows,
        "pad_token_id": tokenizer.pad_id,
        "eos_token_id": tokenizer.eos_id,
        "decoder_start_token_id": tokenizer.decoder_start_id,
    }
    try:
        return ModelConfig(**{**of_tokenizer, **values})
    except MammalError as error:
        raise ConfigError(error.what, where="model", hint=error.hint) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error), where="model") from error

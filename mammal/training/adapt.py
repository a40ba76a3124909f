"""Selects the weights that are trained: all, low-rank adapters (LoRA), only the heads, or none (a probe)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.configuration.plain import plain
from mammal.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omegaconf import DictConfig

    from mammal.bundle.adaptation import Adaptation
    from mammal.model.lora import LowRank
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

METHODS = ("full", "lora", "head", "probe")
SAVES = {
    "full": ("merged",),
    "lora": ("merged", "adapters", "published"),
    "head": ("merged", "adapters"),
    "probe": ("merged", "adapters"),
}
"""Ways in which a run of each method can save its model (`adapt.save`)."""

UNCHANGED: dict[str, Any] = {"start": "random", "shrink": 1.0, "decoder_layers": None}
"""Settings that leave the model at `init` as it is; they are not recorded."""


def adapt(model: MammalModel, config: DictConfig) -> None:
    """Freezes the weights that are not trained; with LoRA, adds adapters to the linear layers of the T5 part.

    LoRA (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021) is implemented by peft. As in the
    published fine-tuning, the heads outside the T5 part are trained together with the adapters.

    Args:
        model: is changed in place.
        config: configuration of the run; its section `adapt` is read.

    Raises:
        ConfigError: the method is unknown, a target is not the name of a layer, or the rank is not positive.
    """
    if config.method not in METHODS:
        raise ConfigError(
            f"adapt.method is {config.method!r}", hint=did_you_mean(config.method, METHODS, noun="method")
        )
    if config.method in ("head", "probe"):
        for name, weight in model.named_parameters():
            weight.requires_grad_(config.method == "head" and _of_head(name))
    if config.method == "lora":
        _add_adapters(model, config)


def _of_head(name: str) -> bool:
    """Whether a weight belongs to a head or a projection: everything outside the T5 part, and the T5's token head."""
    return name.startswith("t5_model.lm_head.") or not name.startswith("t5_model.")


def warn_of_random_weights(config: DictConfig) -> None:
    """Warns of a run that trains a few weights of a model whose others are random."""
    if not config.init and config.adapt.method in ("lora", "head"):
        few = {"lora": "adapters and heads", "head": "heads"}[config.adapt.method]
        logger.warning(
            "adapt=%s trains %s only, and without init= all other weights are random: init=BUNDLE, or adapt=full",
            *(config.adapt.method, few),
        )


def check_changes(config: DictConfig, tasks: Mapping[str, Task]) -> None:
    """Refuses, before training, a value of `adapt.shrink` or `adapt.decoder_layers` that can't work.

    Args:
        config: configuration of the run; `adapt` and `init` are read.
        tasks: tasks of the run, by name.

    Raises:
        ConfigError: the factor is not above 0 and at most 1, the decoder has more layers already or is not used by any
            task, or there is no model at `init`.
        BundleError: the model at `init` can't be found or read.
    """
    from mammal.bundle.adaptation import is_delta
    from mammal.bundle.locate import CONFIG, locate
    from mammal.files import read_json
    from mammal.model.checkpoint import read_config
    from mammal.model.config import ModelConfig
    from mammal.model.grown import check_layers

    layers = config.adapt.get("decoder_layers")
    if layers is not None and not config.init:
        what = "it adds layers to the model at init, and there is none"
        raise ConfigError(what, where="adapt.decoder_layers", hint=f"give init=, or model.num_decoder_layers={layers}")
    if layers is not None:
        source = locate(config.init)
        stored = read_json(source.folder / CONFIG) if is_delta(source) else read_config(source.weights)
        check_layers(ModelConfig.from_published(stored, allow_extra=True).num_decoder_layers, layers)
        if not any(task.mode == "decoder" for task in tasks.values()):
            what = "no task of this run uses the decoder, so more layers of it would learn nothing"
            raise ConfigError(what, where="adapt.decoder_layers", hint="leave it out")
    factor = float(config.adapt.get("shrink", 1.0))
    if not 0 < factor <= 1:
        what = f"must be above 0 and at most 1, not {factor:g}"
        raise ConfigError(what, where="adapt.shrink", hint="0.5, or 1 for the weights as they are")
    if factor < 1 and not config.init:
        what = "it shrinks the weights of the model at init, and there is none"
        raise ConfigError(what, where="adapt.shrink", hint="give init=, or adapt.shrink=1")


def shrink(model: MammalModel, factor: float) -> None:
    """Multiplies the matrices of all blocks by a factor; embeddings, heads, norms and position biases stay.

    A pretrained model has larger weights than a new one, so a step of the same size changes less, and its attention is
    nearly decided. Smaller weights learn what is new faster, at the price of some of what was learned (Ash and Adams
    2020, "On Warm-Starting Neural Network Training", which also adds noise).

    Args:
        model: is changed in place.
        factor: above 0 and at most 1.
    """
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if factor < 1 and ".block." in name and weight.ndim == 2 and "relative_attention_bias" not in name:
                weight.mul_(factor)


def check_saving(config: DictConfig) -> None:
    """Refuses, before training, a value of `adapt.save` that can't work.

    Args:
        config: configuration of the run; `adapt` and `init` are read.

    Raises:
        ConfigError: the method can't save in this way, or there is no base model that adapters could refer to.
        BundleError: there is no model at `init`.
    """
    from mammal.bundle.adaptation import is_delta
    from mammal.bundle.locate import locate

    section, ways = config.adapt, SAVES.get(config.adapt.method, ())
    if ways and section.save not in ways:
        hint = f"adapt={section.method} can save {' or '.join(ways)}"
        raise ConfigError(f"adapt.save is {section.save!r}", where=f"adapt={section.method}", hint=hint)
    if section.save == "published" and int(section.get("ensemble", 1)) > 1:
        what = "the published layout holds one model, not the members of an ensemble"
        raise ConfigError(what, where="adapt.save", hint="adapt.save=merged or adapters, or adapt.ensemble=1")
    if section.save != "adapters":
        return
    if not config.init:
        raise ConfigError("adapters need a base model", where="adapt.save", hint="give init=, or adapt.save=merged")
    if is_delta(locate(config.init)):
        raise ConfigError(
            "the model at init is itself an adapter bundle", where="adapt.save", hint="adapt.save=merged saves it whole"
        )


def fold_adapters(model: MammalModel) -> None:
    """Merges trained adapters into the weights, and keeps them in `model.adapters` so that a bundle can save them."""
    from peft import PeftModel
    from peft.tuners.lora import Linear

    wrapped = model.t5_model
    if not isinstance(wrapped, PeftModel):
        return
    adapters = {
        f"t5_model.{name}.weight": _low_rank(layer)
        for name, layer in wrapped.get_base_model().named_modules()
        if isinstance(layer, Linear)
    }
    model.t5_model = wrapped.unload()
    weights = dict(model.named_parameters())
    for name, adapter in adapters.items():
        weights[name].data.copy_(adapter.merged())
    model.adapters = adapters
    model.forget_copies()


def record(model: MammalModel, config: DictConfig, folder: Path) -> Adaptation | None:
    """Describes how the model was adapted from `init`, for its bundle.

    The adapters of the model are removed with `adapt.save=merged`, so that the whole model is saved, and with methods
    other than LoRA: the adapters then belong to the base model and would be added twice if they were saved again.

    Args:
        model: the trained model.
        config: configuration of the run.
        folder: folder of the bundle.

    Returns:
        The description; None if training started with random weights.
    """
    from mammal.bundle.adaptation import adapted_from

    if config.adapt.save == "merged" or config.adapt.method != "lora":
        model.adapters = {}
    if not config.init:
        return None
    settings = {name: value for name, value in plain(config.adapt).items() if name not in ("method", "save")}
    settings = {name: value for name, value in settings.items() if UNCHANGED.get(name, ...) != value}
    if config.adapt.method != "probe" and settings.get("ensemble") == 1:
        del settings["ensemble"]
    return adapted_from(config.init, folder, config.adapt.method, settings)


def _low_rank(layer: Any) -> LowRank:
    """The adapter of a layer of peft; peft calls the only adapter "default"."""
    from mammal.model.lora import LowRank

    parts = (layer.get_base_layer().weight, layer.lora_A["default"].weight, layer.lora_B["default"].weight)
    base_OW, a_RW, b_OR = (part.detach().clone() for part in parts)
    return LowRank(base_OW, a_RW, b_OR, layer.scaling["default"])


def _add_adapters(model: MammalModel, config: DictConfig) -> None:
    from peft import LoraConfig, get_peft_model

    if model.adapters:
        raise ConfigError(
            "the model at init has adapters already",
            where="adapt=lora",
            hint="adapt=full trains on from it, or start from the model it was adapted from",
        )
    settings = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(config.targets),
        bias="none",
    )
    try:
        model.t5_model = get_peft_model(model.t5_model, settings)  # type: ignore[assignment]
    except ValueError as error:
        raise ConfigError(str(error).split("\n")[0], where="adapt") from error

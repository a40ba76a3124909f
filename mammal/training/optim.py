"""The optimiser, and its learning rate as a function of the progress of the run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from mammal.errors import ConfigError
from mammal.training.schedules import Schedule


def adamw(
    model: nn.Module,
    *,
    lr: float,
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    decay_all: bool = False,
    layer_decay: float | None = None,
) -> torch.optim.AdamW:
    """Creates a fused AdamW optimiser (Loshchilov & Hutter 2019) for the trainable weights of a model.

    Args:
        model: the model.
        lr: peak learning rate.
        betas: decay rates of the averages of gradients and of squared gradients.
        eps: is added to the denominator for numerical stability.
        weight_decay: factor of the decoupled weight decay.
        decay_all: also apply weight decay to norms, biases and position tables, as in the published fine-tuning.
        layer_decay: factor of the learning rate from each layer to the one below (`layer_factors`); None: the same rate
            for all layers.

    Raises:
        ConfigError: no weight is trainable, or a setting is outside its range.
    """
    named, factors = trainable(model), factors_of(model, layer_decay)
    try:
        return torch.optim.AdamW(
            weight_groups(named, lr, factors, weight_decay, decay_all),
            lr=lr,
            betas=(betas[0], betas[1]),
            eps=eps,
            fused=True,
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(str(error), where="optim") from error


def trainable(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and weights that are trained.

    Raises:
        ConfigError: there are none.
    """
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    if not named:
        raise ConfigError("no weight of the model is trainable", where="adapt")
    return named


def factors_of(model: nn.Module, layer_decay: float | None) -> dict[str, float]:
    """Factors of the learning rate of all weights by name: 1, or those of `layer_factors`."""
    names = [name for name, _ in model.named_parameters()]
    return dict.fromkeys(names, 1.0) if layer_decay is None else layer_factors(names, layer_decay)


def follow(optimizer: torch.optim.Optimizer, schedule: Schedule, progress: Callable[[int], float]) -> LambdaLR:
    """Creates a torch scheduler for a schedule.

    Args:
        optimizer: its learning rates are scaled once per optimiser step.
        schedule: learning-rate factors.
        progress: function that returns the completed share of the run (0 to 1) for a step.
    """
    return LambdaLR(optimizer, lambda step: schedule(step, progress(step)))


def layer_factors(names: Sequence[str], decay: float) -> dict[str, float]:
    """Computes learning-rate factors of weights, as in ELECTRA's fine-tuning (Clark et al. 2020).

    Heads and the last norms have the full rate. The top layer of the encoder and of the decoder has `decay` times this
    rate, and each layer below has `decay` times the rate of the layer above. Embeddings (of tokens, of numbers and of
    vectors of other models) have `decay` times the rate of the lowest layer. Layers are counted from the top of their
    own stack, because heads can read either stack.

    Args:
        names: names of the weights.
        decay: factor from each layer to the one below.

    Returns:
        The factor of each weight, by name.

    Raises:
        ConfigError: decay is outside (0, 1].
    """
    if not 0.0 < decay <= 1.0:
        raise ConfigError(f"layer_decay is {decay}; it must be above 0 and at most 1", where="optim")
    places = {name: _place(name) for name in names}
    depth = {
        stack: 1 + max((layer for of, layer in places.values() if of == stack), default=-1)
        for stack in ("encoder", "decoder")
    }
    lowest = 1 + max(depth.values())
    below = {"head": 0, "embedding": lowest}
    return {name: decay ** below.get(stack, depth.get(stack, 0) - layer) for name, (stack, layer) in places.items()}


_BLOCK = re.compile(r"t5_model\.(?:.*\.)?(encoder|decoder)\.block\.(\d+)\.")
_EMBEDDINGS = ("shared.", "embed_tokens.", "project_input_scalars.", "project_external_embeddings.")


def _place(name: str) -> tuple[str, int]:
    """The stack of a weight (or "embedding" or "head"), and its layer in the stack; 0 is the lowest layer."""
    if found := _BLOCK.match(name):
        return found[1], int(found[2])
    return ("embedding" if any(part in name for part in _EMBEDDINGS) else "head"), 0


def weight_groups(
    named: Sequence[tuple[str, nn.Parameter]],
    lr: float,
    factors: Mapping[str, float],
    weight_decay: float,
    decay_all: bool = False,
) -> list[dict[str, Any]]:
    """Divides weights into groups with one learning rate and weight decay each.

    Weight decay applies to matrices, but not to norms, biases and position tables, for which zero is not a neutral
    value. Weights are distinguished by name, because sharding splits matrices into flat pieces. The group with the full
    rate comes first, because the rate of the first group is logged.

    Args:
        named: names and weights.
        lr: peak learning rate.
        factors: factor of the learning rate of each weight, by name.
        weight_decay: factor of the decoupled weight decay.
        decay_all: also apply weight decay to norms, biases and position tables.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in named:
        plain = not decay_all and (name.endswith(".bias") or "norm" in name or "relative_attention_bias" in name)
        groups.setdefault((factors[name], 0.0 if plain else weight_decay), []).append(weight)
    ordered = sorted(groups.items(), key=lambda group: group[0], reverse=True)
    return [{"params": weights, "lr": lr * factor, "weight_decay": decay} for (factor, decay), weights in ordered]

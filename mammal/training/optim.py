"""The optimiser, and its learning rate tied to how far the run is."""

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
    """Fused AdamW (Loshchilov & Hutter 2019) over the weights of `model` that learn.

    Args:
        decay_all: decay norms, biases and position tables too, as the published fine-tuning does.
        layer_decay: factor of the learning rate from each layer to the one below (`layer_factors`); None: one rate.

    Raises:
        ConfigError: nothing learns, or a setting lies outside its range.
    """
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    if not named:
        raise ConfigError("no weight of the model is set to learn", where="adapt")
    factors = dict.fromkeys((name for name, _ in named), 1.0)
    if layer_decay is not None:
        factors = layer_factors([name for name, _ in model.named_parameters()], layer_decay)
    try:
        return torch.optim.AdamW(
            _groups(named, lr, factors, weight_decay, decay_all),
            lr=lr,
            betas=(betas[0], betas[1]),
            eps=eps,
            fused=True,
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(str(error), where="optim") from error


def follow(optimizer: torch.optim.Optimizer, schedule: Schedule, progress: Callable[[int], float]) -> LambdaLR:
    """A torch scheduler, stepped once per optimiser step; `progress(step)` tells how far the run is (0 to 1)."""
    return LambdaLR(optimizer, lambda step: schedule(step, progress(step)))


def layer_factors(names: Sequence[str], decay: float) -> dict[str, float]:
    """Learning-rate factors of weights by name, as in ELECTRA's fine-tuning (Clark et al. 2020).

    Heads and the last norms learn at the full rate, the top layer of the encoder and of the decoder at `decay` times
    it, each layer below at `decay` times the one above, embeddings (of tokens, numbers and other models' vectors) at
    `decay` times the deepest layer. Both stacks are counted from their own top, because heads read either of them.

    Raises:
        ConfigError: decay lies outside (0, 1].
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
    """The stack (or "embedding", "head") that a weight belongs to, and its layer there, 0 the deepest."""
    if found := _BLOCK.match(name):
        return found[1], int(found[2])
    return ("embedding" if any(part in name for part in _EMBEDDINGS) else "head"), 0


def _groups(
    named: Sequence[tuple[str, nn.Parameter]],
    lr: float,
    factors: Mapping[str, float],
    weight_decay: float,
    decay_all: bool,
) -> list[dict[str, Any]]:
    """Matrices decay; norms, biases and tables of relative positions don't: zero is no neutral value for them.

    Told apart by name, because sharding hands out flat pieces of matrices. The group with the full rate comes first:
    its rate is the one that is logged.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in named:
        plain = not decay_all and (name.endswith(".bias") or "norm" in name or "relative_attention_bias" in name)
        groups.setdefault((factors[name], 0.0 if plain else weight_decay), []).append(weight)
    ordered = sorted(groups.items(), key=lambda group: group[0], reverse=True)
    return [{"params": weights, "lr": lr * factor, "weight_decay": decay} for (factor, decay), weights in ordered]

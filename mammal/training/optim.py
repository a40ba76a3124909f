"""The optimiser, and its learning rate tied to how far the run is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov & Hutter 2019) over the weights of `model` that learn.

    Args:
        decay_all: decay norms, biases and position tables too, as the published fine-tuning does.

    Raises:
        ConfigError: nothing learns, or a setting lies outside its range.
    """
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    if not named:
        raise ConfigError("no weight of the model is set to learn", where="adapt")
    try:
        return torch.optim.AdamW(
            _groups(named, weight_decay, decay_all),
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


def _groups(named: Sequence[tuple[str, nn.Parameter]], weight_decay: float, decay_all: bool) -> list[dict[str, Any]]:
    """Matrices decay; norms, biases and tables of relative positions don't: zero is no neutral value for them."""
    plain = [] if decay_all else [w for name, w in named if w.ndim < 2 or "relative_attention_bias" in name]
    kept = {id(weight) for weight in plain}
    decayed = [weight for _, weight in named if id(weight) not in kept]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]

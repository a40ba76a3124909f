"""Muon for the matrices of the transformer blocks, AdamW for all other weights, as one optimiser.

Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with the update size of
J. Liu et al., "Muon is scalable for LLM training" (arXiv 2502.16982): an update has the root mean square of an AdamW
update, so learning rate and weight decay mean the same for both kinds of weights.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mammal.errors import ConfigError
from mammal.model.runtime import has_bf16_matrix_units
from mammal.training.optim import factors_of, trainable, weight_groups

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration (Jordan et al. 2024): singular values end between about 0.7 and 1.2 after five steps."""
_STEPS = 5
_RMS = 0.2
"""Root mean square of a usual AdamW update (Liu et al. 2025)."""


class Muon(torch.optim.Optimizer):
    """Muon for groups with `matrices: True`, fused AdamW for the others; schedules and resuming see one optimiser.

    Matrices of one shape are orthogonalised together, which costs a fraction of one matrix after another. The iteration
    runs in bfloat16 on GPUs and on CPUs that multiply bfloat16 matrices in hardware, as Jordan et al. do, else in
    float32. Momentum and updates have the number format of the weights.

    Args:
        groups: parameter groups, each with `params`, `lr`, `weight_decay` and `matrices`.
        momentum: decay rate of the average of gradients of matrices.
        betas: of AdamW.
        eps: of AdamW.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-8,
    ):
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        groups = list(groups)
        if wrong := [group["lr"] for group in groups if group["lr"] < 0.0]:
            raise ValueError(f"Invalid learning rate: {wrong[0]}")
        # AdamW checks and completes the groups with its own settings; those of matrices only carry them along
        complete = torch.optim.AdamW(groups, betas=betas, eps=eps, fused=True)
        super().__init__(complete.param_groups, {"momentum": momentum})
        self._adamw = complete

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Does one step.

        Args:
            closure: computes the loss again and returns it; None: gradients are there already.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._adamw.param_groups = [group for group in self.param_groups if not group["matrices"]]
        self._adamw.state = self.state
        self._adamw.step()
        for group in self.param_groups:
            if group["matrices"]:
                self._step_matrices(group)
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> None:
        by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for weight in group["params"]:
            if weight.grad is not None:
                by_shape[weight.shape].append(weight)
        for (rows, columns), weights in by_shape.items():
            updates = orthogonal(torch.stack([self._direction(weight, group["momentum"]) for weight in weights]))
            size = group["lr"] * _RMS * max(rows, columns) ** 0.5
            torch._foreach_mul_(weights, 1.0 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(weights, list(updates.to(weights[0].dtype).unbind()), alpha=-size)

    def _direction(self, weight: Tensor, momentum: float) -> Tensor:
        """The gradient with Nesterov's momentum."""
        state, gradient = self.state[weight], weight.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        state["momentum"].lerp_(gradient, 1.0 - momentum)
        return gradient.lerp(state["momentum"], momentum)


def orthogonal(matrices_NRC: Tensor) -> Tensor:
    """The nearest matrices with singular values near 1, by Newton and Schulz's iteration.

    Args:
        matrices_NRC: N matrices of one shape [R, C], any floating-point type.

    Returns:
        [N, R, C], bfloat16 on GPUs and on CPUs that multiply it in hardware, else float32.
    """
    a, b, c = _COEFFICIENTS
    wide = matrices_NRC.shape[1] <= matrices_NRC.shape[2]
    x = matrices_NRC if wide else matrices_NRC.mT
    x = (x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)).to(_format(matrices_NRC.device))
    for _ in range(_STEPS):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


def _format(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "cpu" and not has_bf16_matrix_units() else torch.bfloat16


def muon(
    model: nn.Module,
    *,
    lr: float,
    momentum: float = 0.95,
    adamw_lr: float | None = None,
    betas: Sequence[float] = (0.9, 0.98),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    layer_decay: float | None = None,
) -> Muon:
    """Creates an optimiser that updates the matrices of encoder and decoder blocks by Muon, the rest by AdamW.

    Args:
        model: the model.
        lr: peak learning rate of the matrices.
        momentum: decay rate of the average of their gradients.
        adamw_lr: peak learning rate of embeddings, heads, norms and biases; None: `lr`.
        betas: of AdamW.
        eps: of AdamW.
        weight_decay: factor of the decoupled weight decay, for matrices.
        layer_decay: factor of the learning rate from each layer to the one below (`layer_factors`); None: the same rate
            for all layers.

    Raises:
        ConfigError: no weight is trainable, or a setting is outside its range.
    """
    named = trainable(model)
    factors = factors_of(model, layer_decay)
    inside = [(name, weight) for name, weight in named if _is_matrix(name, weight)]
    outside = [(name, weight) for name, weight in named if not _is_matrix(name, weight)]
    rates = {True: lr, False: lr if adamw_lr is None else adamw_lr}
    try:
        return Muon(
            [
                {**group, "matrices": matrices}
                for matrices, weights in ((True, inside), (False, outside))
                for group in weight_groups(weights, rates[matrices], factors, weight_decay)
            ],
            momentum=momentum,
            betas=(betas[0], betas[1]),
            eps=eps,
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(str(error), where="optim") from error


def _is_matrix(name: str, weight: Tensor) -> bool:
    """Whether a weight is a matrix of a block: not an embedding, a head or a position table."""
    return ".block." in name and weight.ndim == 2 and "relative_attention_bias" not in name

"""Layers without initial weights, and dropout.

The weights are set by `initial` or by a checkpoint. For 458 million weights, torch's own initialisation would take
seconds, and its result would be overwritten.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mammal.model.masks import RowMasks


class Linear(nn.Linear):
    """A linear layer whose weights are uninitialised memory."""

    def reset_parameters(self) -> None:
        """Draws nothing."""


class AdaptedLinear(Linear):
    """A linear layer with a low-rank adapter that is not merged: `x W^T + scale * (x A^T) B^T`.

    Args:
        base: the layer; its weight and bias are shared.
        a_RW: first matrix of the adapter, float [R, in_features].
        b_OR: second matrix of the adapter, float [out_features, R].
        scale: factor of the low-rank product.
    """

    a_RW: Tensor
    b_OR: Tensor

    def __init__(self, base: Linear, a_RW: Tensor, b_OR: Tensor, scale: float):
        super().__init__(base.in_features, base.out_features, bias=False, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.register_buffer("a_RW", a_RW)
        self.register_buffer("b_OR", b_OR)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.scale * F.linear(F.linear(x, self.a_RW), self.b_OR)


class Embedding(nn.Embedding):
    """An embedding whose weights are uninitialised memory."""

    def reset_parameters(self) -> None:
        """Draws nothing."""


def dropout(x: Tensor, rate: float, training: bool = True, masks: RowMasks | None = None) -> Tensor:
    """Dropout that generates four 16-bit random numbers at once on a CPU.

    Random numbers would otherwise take a tenth of the time of a training step. The rate is rounded to 1/65536.

    Args:
        x: a tensor of any shape.
        rate: share of entries that are set to zero.
        training: False: `x` is returned unchanged, unless there are masks.
        masks: masks of Monte Carlo dropout, which are used in place of random ones; `x` is then of packed tokens.
    """
    if masks is not None:
        return masks.dropout(x, rate)
    if not training or rate == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, rate)
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
    noise = words.view(torch.int16)[: x.numel()].view(x.shape)
    keep = noise >= round(rate * 2**16) - 2**15
    return x * keep.to(x.dtype).mul_(1 / (1 - rate))

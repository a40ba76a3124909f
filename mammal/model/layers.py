"""Layers without initial weights, and dropout.

The weights are set by `initial` or by a checkpoint. For 458 million weights, torch's own initialisation would take
seconds, and its result would be overwritten.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Linear):
    """A linear layer whose weights are uninitialised memory."""

    def reset_parameters(self) -> None:
        """Draws nothing."""


class Embedding(nn.Embedding):
    """An embedding whose weights are uninitialised memory."""

    def reset_parameters(self) -> None:
        """Draws nothing."""


def dropout(x: Tensor, rate: float, training: bool = True) -> Tensor:
    """Dropout that generates four 16-bit random numbers at once on a CPU.

    Random numbers would otherwise take a tenth of the time of a training step. The rate is rounded to 1/65536.

    Args:
        x: a tensor of any shape.
        rate: share of entries that are set to zero.
        training: False: `x` is returned unchanged.
    """
    if not training or rate == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, rate)
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
    noise = words.view(torch.int16)[: x.numel()].view(x.shape)
    keep = noise >= round(rate * 2**16) - 2**15
    return x * keep.to(x.dtype).mul_(1 / (1 - rate))

"""Layers without first weights (`initial` draws them, or a checkpoint brings them), and dropout.

At 458 million weights torch's own draw would take seconds, to be overwritten.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Linear):
    """A linear layer that holds whatever memory held."""

    def reset_parameters(self) -> None:
        """Draws nothing."""


class Embedding(nn.Embedding):
    """An embedding that holds whatever memory held."""

    def reset_parameters(self) -> None:
        """Draws nothing."""


def dropout(x: Tensor, rate: float, training: bool = True) -> Tensor:
    """Dropout that draws four 16-bit numbers at once on a CPU, where drawing is otherwise a tenth of a training step.

    The rate is rounded to 1/65536.
    """
    if not training or rate == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, rate)
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
    noise = words.view(torch.int16)[: x.numel()].view(x.shape)
    keep = noise >= round(rate * 2**16) - 2**15
    return x * keep.to(x.dtype).mul_(1 / (1 - rate))

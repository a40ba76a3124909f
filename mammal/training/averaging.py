"""The moving average of the weights, which is what validation judges and checkpoints hold."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from mammal.errors import ConfigError


class MovingAverage(WeightAveraging):
    """Exponential moving average of the weights after every optimiser step.

    Lightning's `WeightAveraging` swaps the average in for validation, into the model at the end, and into checkpoints,
    which keep the weights that learn beside it. Averaging goes back to Polyak & Juditsky (1992). The decay rises with
    the steps, `min(decay, (1 + n) / (10 + n))`, as in TensorFlow's `ExponentialMovingAverage`, so that a short run is
    not judged by its first weights.

    Args:
        decay: weight of the past; the average reaches back about `1 / (1 - decay)` steps.

    Raises:
        ConfigError: decay lies outside [0, 1).
    """

    def __init__(self, decay: float = 0.999):
        if not 0.0 <= decay < 1.0:
            raise ConfigError(f"decay is {decay}; it must be at least 0 and below 1", where="callbacks.ema")
        self.decay = decay
        super().__init__(multi_avg_fn=self._blend)

    @torch.no_grad()
    def _blend(self, average: Any, current: Any, averaged: Tensor | int) -> None:
        """Move the averages towards the weights of a step; `averaged` steps went before."""
        steps = float(averaged)
        torch._foreach_lerp_(list(average), list(current), 1.0 - min(self.decay, (1 + steps) / (10 + steps)))

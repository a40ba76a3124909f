"""The moving average of the weights, which is used for validation and saved in checkpoints."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from mammal.errors import ConfigError


class MovingAverage(WeightAveraging):
    """Exponential moving average of the weights after every optimiser step.

    Lightning's `WeightAveraging` uses the average for validation, for the model at the end and in checkpoints, which
    also contain the weights without averaging. Averaging was proposed by Polyak & Juditsky (1992). The decay increases
    with the steps, `min(decay, (1 + n) / (10 + n))`, as in TensorFlow's `ExponentialMovingAverage`, so that the initial
    weights don't dominate the average of a short run.

    Args:
        decay: weight of the previous average; the average covers about the last `1 / (1 - decay)` steps.

    Raises:
        ConfigError: decay is outside [0, 1).
    """

    def __init__(self, decay: float = 0.999):
        if not 0.0 <= decay < 1.0:
            raise ConfigError(f"decay is {decay}; it must be at least 0 and below 1", where="callbacks.ema")
        self.decay = decay
        super().__init__(multi_avg_fn=self._blend)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Moves the average to the device of the model.

        Lightning creates it before the model is on its device. An average in the memory of the CPU would need a copy of
        all weights from the GPU after every step.
        """
        assert self._average_model is not None, "Lightning has created it in setup"
        self._average_model.to(pl_module.device)

    @torch.no_grad()
    def _blend(self, average: Any, current: Any, averaged: Tensor | int) -> None:
        """Moves the average towards the weights of a step; `averaged` is the number of earlier steps."""
        steps = float(averaged)
        torch._foreach_lerp_(list(average), list(current), 1.0 - min(self.decay, (1 + steps) / (10 + steps)))

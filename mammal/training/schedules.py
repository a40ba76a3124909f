"""Learning rates over a run, as factors of the peak rate.

A schedule is called with the number of completed optimiser steps and with `progress`, the completed share of the run
(0 to 1, by steps or by time, whichever is larger). The published schedules only use the step. They are those of
`mammal/lr_schedulers.py` in the published code, https://github.com/BiomedSciAI/biomed-multi-alignment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol


class Schedule(Protocol):
    def __call__(self, step: int, progress: float) -> float: ...


class WarmupCosine:
    """Linear warm-up, then half a cosine down to `floor`, reached exactly at the end of the run.

    Args:
        warmup_steps: number of steps until the peak rate; at most a tenth of the run is used.
        floor: factor at the end of the run.
    """

    def __init__(self, warmup_steps: int, floor: float = 0.0):
        self.warmup_steps, self.floor = warmup_steps, floor

    def __call__(self, step: int, progress: float) -> float:
        decay = self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
        return decay * _rise(step, progress, self.warmup_steps)


class WarmupConstant:
    """Linear warm-up, then the peak rate.

    Args:
        warmup_steps: number of steps until the peak rate; at most a tenth of the run is used.
    """

    def __init__(self, warmup_steps: int):
        self.warmup_steps = warmup_steps

    def __call__(self, step: int, progress: float) -> float:
        return _rise(step, progress, self.warmup_steps)


class PublishedCosine:
    """The fine-tuning schedule of the published code (`cosine_annealing_with_warmup_lr_scheduler`).

    The factor rises linearly from a third to 1, then follows half a cosine of `T_max` steps towards `eta_min_factor`.
    The cosine starts at the end of the warm-up but stops at the absolute step `T_max`, so the rate drops abruptly
    there.

    Args:
        num_warmup_steps: number of steps of the warm-up.
        T_max: number of steps of the half cosine, and step at which it stops.
        eta_min_factor: factor at the end.
    """

    def __init__(self, num_warmup_steps: int, T_max: int, eta_min_factor: float = 0.1):
        self.num_warmup_steps, self.T_max, self.eta_min_factor = num_warmup_steps, T_max, eta_min_factor

    def __call__(self, step: int, progress: float = 0.0) -> float:
        if step < self.num_warmup_steps:
            return _warmup_from_third(step, self.num_warmup_steps)
        if step >= self.T_max:
            return self.eta_min_factor
        angle = math.pi * (step - self.num_warmup_steps) / self.T_max
        return self.eta_min_factor + (1 - self.eta_min_factor) * (1 + math.cos(angle)) / 2


class PublishedMultistep:
    """A schedule of the published code (`multistep_with_warmup_lr_scheduler`).

    Linear warm-up from a third of the peak rate; the rate is multiplied by `gamma` at each milestone.

    Args:
        num_warmup_steps: number of steps of the warm-up.
        milestones: absolute steps at which the rate is multiplied by `gamma`.
        gamma: the factor.
    """

    def __init__(self, num_warmup_steps: int, milestones: Sequence[int], gamma: float = 0.1):
        self.num_warmup_steps, self.milestones, self.gamma = num_warmup_steps, sorted(milestones), gamma

    def __call__(self, step: int, progress: float = 0.0) -> float:
        if step < self.num_warmup_steps:
            return _warmup_from_third(step, self.num_warmup_steps)
        return self.gamma ** sum(step >= milestone for milestone in self.milestones)


class PublishedInverseSqrt:
    """The pretraining schedule of the published code (`inverse_sqrt_with_warmup_lr_scheduler`).

    Args:
        num_warmup_steps: number of steps with factor 1. Afterwards, the factor is
            `sqrt(timescale / (step + timescale - num_warmup_steps))`.
        timescale: see above; None: `num_warmup_steps`.
    """

    def __init__(self, num_warmup_steps: int, timescale: int | None = None):
        self.num_warmup_steps, self.timescale = num_warmup_steps, timescale or num_warmup_steps

    def __call__(self, step: int, progress: float = 0.0) -> float:
        if step < self.num_warmup_steps:
            return 1.0
        return math.sqrt(self.timescale / (step + self.timescale - self.num_warmup_steps))


def _warmup_from_third(step: int, steps: int) -> float:
    return 1 / 3 + (2 / 3) * step / steps


def _rise(step: int, progress: float, warmup_steps: int) -> float:
    """Linear warm-up from the first step, which ends after a tenth of the run at the latest."""
    return min(1.0, max((step + 1) / max(1, warmup_steps), progress * 10))

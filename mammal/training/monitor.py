"""Checks the figure that selects the best weights and decides when to stop early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mammal.errors import ConfigError, did_you_mean
from mammal.training.module import READ_FAMILIES

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.tasks.task import Task

MODES = ("auto", "min", "max")


def check_monitor(monitor: str, tasks: Mapping[str, Task]) -> None:
    """Refuses, before training, a figure that validation will not log.

    Args:
        monitor: name of the figure, such as `valid/loss`.
        tasks: tasks by name.

    Raises:
        ConfigError: the figure does not exist; the message suggests the nearest name.
    """
    known = ["valid/loss", *(f"valid/{name}/loss" for name in tasks)]
    for name, task in tasks.items():
        for metric in task.metric_names if task.family in READ_FAMILIES else ():
            whole = f"valid/{name}/{metric}"
            known += [whole, *(f"{whole}/{column}" for column in task.target_columns if len(task.target_columns) > 1)]
    if monitor not in known:
        hint = did_you_mean(monitor, known, noun="figure")
        raise ConfigError(f"no validation gives the figure {monitor!r}", where="monitor", hint=hint)


def choose_monitor_mode(config: DictConfig) -> None:
    """Replaces `monitor_mode=auto` by "max" if a higher value of the metric is better, else by "min".

    Args:
        config: configuration of the run; it is changed in place.

    Raises:
        ConfigError: the mode does not exist.
    """
    from mammal.tasks.metrics.registry import METRICS

    if config.monitor_mode not in MODES:
        hint = did_you_mean(config.monitor_mode, MODES, noun="mode")
        raise ConfigError(f"monitor_mode is {config.monitor_mode!r}", hint=hint)
    if config.monitor_mode == "auto":
        metric = METRICS.get([*config.monitor.split("/"), "", ""][2])
        config.monitor_mode = "max" if metric is not None and metric.higher_is_better else "min"

"""`adapt.start=probe`: fine-tuning starts with a scalar head that was fitted by ridge regression.

A new head is random, and its first gradients change an encoder that was good before (Kumar et al. 2022,
arXiv:2202.10054). So the last layer of the head is fitted on the states that it reads from the model at `init`, and
validation before the first step makes these weights a candidate for the best ones.

Shapes: M states of all rows, H width of the last layer's input; D, R as in `mammal.tasks.batches.batch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal import console
from mammal.errors import ConfigError, did_you_mean
from mammal.tasks.tables.spread_rows import spread_rows

if TYPE_CHECKING:
    import lightning.pytorch as lightning
    from omegaconf import DictConfig
    from torch import Tensor, nn

    from mammal.evaluation.task_data import TaskData
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.batch import Batch
    from mammal.tasks.task import Task
    from mammal.tokenization.tokenizer import Tokenizer
    from mammal.training.module import TrainingModule

STARTS = ("random", "probe")

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4)
"""Penalties of ridge regression on standardised states, of which leave-one-out errors choose one."""

MOST_ROWS = 20_000
"""Largest number of training rows of each task, evenly spread, on which a head is fitted."""


@dataclass
class FirstWeights:
    """The weights before the first step, as a candidate for the best ones.

    Attributes:
        weights: by name, on the CPU.
        figures: validation figures of these weights, by name; filled when the run starts.
    """

    weights: dict[str, Tensor]
    figures: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, model: MammalModel) -> FirstWeights:
        return cls({name: weight.detach().cpu().clone() for name, weight in model.state_dict().items()})

    def beat(self, monitor: str, mode: str, best: float) -> bool:
        """Whether these weights have a better figure than the best ones of training.

        Args:
            monitor: name of the figure.
            mode: `min` or `max`.
            best: figure of the best weights of training.
        """
        own = self.figures.get(monitor)
        return own is not None and (own < best if mode == "min" else own > best)


def check_start(config: DictConfig, tasks: Mapping[str, Task]) -> None:
    """Refuses, before data are loaded, a value of `adapt.start` that can't work.

    Args:
        config: configuration of the run.
        tasks: tasks of the run, by name.

    Raises:
        ConfigError: the value is unknown, there is no `init`, or no task of the run predicts numbers.
    """
    start = config.adapt.get("start", "random")
    if start not in STARTS:
        hint = did_you_mean(str(start), STARTS, noun="start")
        raise ConfigError(f"adapt.start is {start!r}", where=f"adapt={config.adapt.method}", hint=hint)
    if start == "random":
        return
    if not config.init:
        what = "a head can't be fitted on states of random weights"
        raise ConfigError(what, where="adapt.start=probe", hint="give init=, or adapt.start=random")
    if not any(task.family == "regression" for task in tasks.values()):
        what = "it fits the head for numbers, and no task of this run is a regression task"
        raise ConfigError(what, where="adapt.start=probe", hint="adapt.start=random; adapt=probe also predicts classes")


def fit_heads(model: MammalModel, data: Mapping[str, TaskData], tokenizer: Tokenizer, init: Any) -> None:
    """Sets the last layer of the scalar heads by ridge regression on what they read.

    Tasks that the model at `init` was trained on keep their heads.

    Args:
        model: model at `init`; it is changed in place.
        data: rows by name of their task, encoded for training.
        tokenizer: tokenizer of the run.
        init: the model that the run starts from.
    """
    from mammal.bundle.lazy_tasks import read_tasks
    from mammal.bundle.locate import TASKS, locate

    trained = read_tasks(locate(init).folder / TASKS, tokenizer)
    sharing: dict[nn.Linear, list[TaskData]] = {}
    kept: set[nn.Linear] = set()
    for name, d in data.items():
        if d.task.family != "regression":
            continue
        layer = _last_layer(model, d.task)
        sharing.setdefault(layer, []).append(d)
        if name in trained and trained[name].probes is None and trained[name].head_widths == d.task.head_widths:
            console.note(f"{name}: the model at init was trained on it, so its scalar head is kept")
            kept.add(layer)
    for layer, several in sharing.items():
        if layer not in kept:
            _fit_layer(model, layer, several)
    model.forget_copies()


def _last_layer(model: MammalModel, task: Task) -> nn.Linear:
    """The last layer of the head that gives the numbers of a task."""
    from torch import nn

    for head in task.head_widths:
        layer = model.vector_heads[head]
        assert isinstance(layer, nn.Linear)
        return layer
    return model.scalar_head(task.mode).last


def _fit_layer(model: MammalModel, layer: nn.Linear, several: list[TaskData]) -> None:
    import torch
    from sklearn.linear_model import RidgeCV

    parts = [_states(model, layer, d) for d in several]
    states_MH, labels_M = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    mean_H, std_H = states_MH.mean(axis=0), states_MH.std(axis=0)
    std_H = np.where(std_H > 1e-5 * (1 + np.abs(mean_H)), std_H, np.inf)  # a constant entry gets no weight
    ridge = RidgeCV(alphas=PENALTIES).fit((states_MH - mean_H) / std_H, labels_M)
    weight_H = ridge.coef_ / std_H
    with torch.no_grad():
        layer.weight[0] = torch.as_tensor(weight_H).to(layer.weight)
        layer.bias[0] = float(ridge.intercept_ - weight_H @ mean_H)
    share = -float(ridge.best_score_) / max(float(labels_M.var()), 1e-12)
    names = ", ".join(d.task.name for d in several)
    console.note(
        f"{names}: scalar head from ridge regression on {len(labels_M):,} labels; it leaves {share:.0%} of their "
        "variance unexplained (leave-one-out)"
    )


def _states(model: MammalModel, layer: nn.Linear, data: TaskData) -> tuple[np.ndarray, np.ndarray]:
    """What a layer reads for every measured number, float64 [M, H], and the numbers [M]."""
    import torch

    from mammal.tasks.batches.token_batches import token_batches

    every = data.examples("train")
    places = spread_rows(len(every), MOST_ROWS)
    examples = [every[place] for place in places]
    states, labels = [], []
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for chosen in token_batches([example.tokens for example in examples], 8_192):
                batch = data.task.collate([examples[i] for i in chosen]).to(model.device)
                seen.clear()
                model(batch)
                labels_M, known_M = _labels(batch)
                states.append(seen[0][known_M].double().cpu().numpy())
                labels.append(labels_M[known_M].double().cpu().numpy())
    finally:
        hook.remove()
        model.train(was_training)
    return np.concatenate(states), np.concatenate(labels)


def _labels(batch: Batch) -> tuple[Tensor, Tensor]:
    """The expected number at each read position, float32 [M], and whether it was measured, bool [M]."""
    assert batch.label_values_DR is not None, "a training batch holds values"
    read_M = batch.read_DR.reshape(-1) >= 0
    labels_M = batch.label_values_DR.reshape(-1)[read_M]
    known_M = ~labels_M.isnan()
    if batch.label_bounds_DR is not None:
        known_M &= batch.label_bounds_DR.reshape(-1)[read_M] == 0
    return labels_M, known_M


def validate_first(trainer: lightning.Trainer, module: TrainingModule, first: FirstWeights) -> None:
    """Makes the trainer validate all rows before the first step; the figures are stored in `first`.

    Args:
        trainer: trainer of the run.
        module: module of the run.
        first: the weights before the first step.
    """
    trainer.num_sanity_val_steps = float("inf")
    module.first_figures = first.figures

"""The module that Lightning trains: a model, the losses of its tasks, and the metrics on validation rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.utilities.enums import GradClipAlgorithmType
from torch import Tensor
from torch.distributed.fsdp import FullyShardedDataParallel

from mammal.errors import TrainingError
from mammal.tasks.batches.batch import Batch
from mammal.training.optim import follow
from mammal.training.schedules import Schedule

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

Judged = dict[object, tuple[float, int, list["Prediction"]]]
"""Validation batches by the id of their first row: loss, number of rows, predictions."""

READ_FAMILIES = ("classification", "regression", "features", "token_classification")
"""Families of tasks with predictions from the same pass as the loss, so that validation metrics cost no extra time."""


class TrainingModule(lightning.LightningModule):
    """Logs `train/loss`, `train/<task>/loss`, `train/tokens_per_second`, `valid/loss`, `valid/<task>/<metric>`.

    `train/loss` is the mean over all batches of an optimiser step.

    Args:
        model: is trained in place.
        tasks: tasks by name; each batch belongs to one of them.
        valid_rows: validation rows of each task, by row id, for metrics.
        make_optimizer: function that creates the optimiser of the model.
        schedule: learning-rate factors.
        total_steps: number of optimiser steps of the whole run; None if only time ends it.

    Attributes:
        rows_seen: training rows so far, with those before the run was resumed.
        tokens_seen: tokens of these rows, without padding.
        seconds_before: time that training took before the run was resumed.
        first_figures: validation figures of the weights before the first step, by name, if the trainer validates them.
        accumulating: True between the batches of a step, when gradients of earlier batches are already stored.
        step_loss: mean loss of the batches of the last step, a scalar on the device; None before the first step.
    """

    def __init__(
        self,
        model: MammalModel,
        tasks: Mapping[str, Task],
        valid_rows: Mapping[str, Mapping[object, Row]],
        make_optimizer: Callable[[MammalModel], torch.optim.Optimizer],
        schedule: Schedule,
        total_steps: int | None = None,
    ):
        super().__init__()
        self.model = model
        self.tasks = dict(tasks)
        self.valid_rows = valid_rows
        self.make_optimizer = make_optimizer
        self.schedule = schedule
        self.total_steps = total_steps
        self.rows_seen = self.tokens_seen = 0
        self.seconds_before = 0.0
        self._begun = time.monotonic()
        self.accumulating = False
        self.step_loss: Tensor | None = None
        self._losses: list[Tensor] = []
        self.first_figures: dict[str, float] = {}
        self._judged: dict[str, Judged] = {}
        self._going_on: dict[str, Any] | None = None

    # Training

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Counts tokens while the batch is still on the CPU, so that no synchronisation is needed."""
        if self.trainer.training:
            self.rows_seen += len(batch)
            self.tokens_seen += batch.tokens
        return batch

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Copies asynchronously, which Lightning does only for tensors; batches for a GPU are in page-locked memory."""
        return batch.to(device, non_blocking=True)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.tasks[batch.task].loss(self.model(batch), batch)
        self._require_finite(loss, f"training batch {batch_idx} of task {batch.task}")
        value = loss.detach()
        self.log("train/lr", self.trainer.optimizers[0].param_groups[0]["lr"], batch_size=1)
        self._losses.append(value)
        if len(self.tasks) > 1:
            self.log(f"train/{batch.task}/loss", value, batch_size=len(batch))
        return loss

    def on_before_zero_grad(self, optimizer: torch.optim.Optimizer) -> None:
        self.accumulating = True

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.accumulating = False
        self.step_loss = torch.stack(self._losses).mean()
        self._losses = []
        self.log("train/loss", self.step_loss, batch_size=1, sync_dist=self.trainer.world_size > 1)

    def seconds_now(self) -> float:
        """Seconds since training began or was resumed."""
        return time.monotonic() - self._begun

    def on_train_start(self) -> None:
        self._begun = time.monotonic()
        self._tell_epoch()  # needed for a run that is resumed in the middle of an epoch

    def on_train_epoch_start(self) -> None:
        self._tell_epoch()

    def _tell_epoch(self) -> None:
        for task in self.tasks.values():
            task.epoch = self.current_epoch

    # Validation

    def on_validation_epoch_start(self) -> None:
        self._judged = {name: {} for name in self.tasks}

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        task = self.tasks[batch.task]
        output = self.model(batch)
        loss = task.loss(output, batch)
        self._require_finite(loss, f"validation batch {batch_idx} of task {batch.task}")
        reads = task.family in READ_FAMILIES and self.valid_rows[task.name]
        answers = task.decode(output, batch) if reads else []
        self._judged[batch.task][batch.row_ids[0]] = (float(loss), len(batch), answers)

    def on_validation_epoch_end(self) -> None:
        parts = gathered(self._judged)
        means = {}
        for name in self.tasks:
            # The first row is the key, so a batch that two processes computed counts once.
            judged = [batch for _, batch in sorted({key: b for part in parts for key, b in part[name].items()}.items())]
            if not judged:
                continue
            means[name] = _weighted_mean([(loss, rows) for loss, rows, _ in judged])
            self._log_valid(f"valid/{name}/loss", means[name])
            answers = [answer for _, _, answered in judged for answer in answered]
            for metric, value in self._metrics(name, answers).items():
                self._log_valid(f"valid/{name}/{metric}", value)
        if means:
            self._log_valid("valid/loss", sum(means.values()) / len(means))

    def on_validation_model_train(self) -> None:
        """Returns to training mode with `train()`, which also deletes the copies of weights made for inference.

        Lightning would only set the flag of each layer. Because fused AdamW changes weights without increasing their
        version, the next validation would use the old copies.
        """
        self.train()

    def _metrics(self, name: str, answers: Sequence[Prediction]) -> dict[str, float]:
        if not answers or not self.valid_rows[name]:  # packed rows have no columns
            return {}
        return self.tasks[name].metrics(answers, [self.valid_rows[name][answer.row_id] for answer in answers])

    def _log_valid(self, name: str, value: float) -> None:
        self.log(name, value, batch_size=1)
        if self.trainer.sanity_checking:
            self.first_figures[name] = value

    def _require_finite(self, loss: Tensor, where: str) -> None:
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()}",
                where=f"step {self.trainer.global_step}, {where}",
                hint="lower optim.lr, or check the labels of this task; the last good checkpoint is kept",
            )

    # Optimiser

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(self.model)
        scheduler = follow(optimizer, self.schedule, self.progress)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips gradients without Lightning, which refuses this for a fused optimiser in any mixed precision.

        With bf16, gradients need no unscaling before. If weights are split over processes, the strategy must clip,
        because only it can compute the norm of all gradients.
        """
        plugin, strategy = self.trainer.precision_plugin, self.trainer.strategy
        if isinstance(strategy, FSDPStrategy):
            if gradient_clip_val and isinstance(strategy.model, FullyShardedDataParallel):
                strategy.model.clip_grad_norm_(gradient_clip_val)
        elif not isinstance(plugin, MixedPrecision) or plugin.scaler is not None:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            how = GradClipAlgorithmType(gradient_clip_algorithm or GradClipAlgorithmType.NORM)
            Precision.clip_gradients(plugin, optimizer, gradient_clip_val, how)

    def progress(self, step: int) -> float:
        """Completed share of the run, 0 to 1, by steps or by `trainer.max_time`, whichever is larger."""
        by_steps = step / self.total_steps if self.total_steps else 0.0
        return min(1.0, max([by_steps, *map(_by_time, timers(self.trainer))]))

    # Checkpoints also contain what a run needs to continue exactly: the random state of each process, for dropout, and
    # the gradients of an unfinished step (of the first process if there are several).

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        valid_loss = self.trainer.callback_metrics.get("valid/loss")
        waiting = {name: weight.grad for name, weight in self.named_parameters()} if self.accumulating else {}
        checkpoint["going_on"] = {
            "random": gathered({"cpu": torch.get_rng_state(), "cuda": cuda}),
            "gradients": {name: gradient for name, gradient in waiting.items() if gradient is not None},
            "losses": torch.stack(self._losses).tolist() if self._losses else [],
            "tasks": sorted(self.tasks),
            "seen": {
                "rows": self.rows_seen,
                "tokens": self.tokens_seen,
                "seconds": self.seconds_before + self.seconds_now(),
            },
            "valid_loss": None if valid_loss is None else float(valid_loss),
            "first_figures": dict(self.first_figures),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._going_on = checkpoint["going_on"]
        seen = self._going_on["seen"]
        self.rows_seen, self.tokens_seen = seen["rows"], seen["tokens"]
        self.seconds_before = seen.get("seconds", 0.0)  # earlier versions did not store it
        self.first_figures.update(self._going_on.get("first_figures", {}))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if self._going_on is None:
            return
        states, gradients = self._going_on["random"], self._going_on["gradients"]
        state = states[self.global_rank % len(states)]
        torch.set_rng_state(state["cpu"].cpu())
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])
        for name, weight in self.named_parameters():
            if name in gradients:
                weight.grad = gradients[name].to(weight)
        self.accumulating = bool(gradients)
        self._losses = [torch.tensor(loss, device=self.device) for loss in self._going_on.get("losses", [])]
        self._going_on = None


def timers(trainer: lightning.Trainer) -> list[Timer]:
    """The callbacks that end a run after `trainer.max_time`."""
    return [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]


def gathered(value: Any) -> list[Any]:
    """Gathers the value of every process of the run, in their order; all processes must call this function."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [value]
    values = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def _by_time(timer: Timer) -> float:
    left = timer.time_remaining()
    elapsed = timer.time_elapsed()
    return 0.0 if left is None else elapsed / max(1e-6, elapsed + left)


def _weighted_mean(losses: Sequence[tuple[float, int]]) -> float:
    return sum(loss * rows for loss, rows in losses) / sum(rows for _, rows in losses)

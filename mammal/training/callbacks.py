"""Callbacks of training: the progress line, and a stop on Ctrl-C that saves a checkpoint first."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import Callback

from mammal.console import Progress
from mammal.training.module import TrainingModule, timers


class ProgressLine(Callback):
    """Shows steps, rows/s, tokens/s, losses and remaining time in one line."""

    def __init__(self, total_steps: int | None = None):
        self.total_steps = total_steps
        self._progress: Progress | None = None
        self._step = self._rows = self._tokens = 0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero or not isinstance(module, TrainingModule):
            return
        seconds = next((left for timer in timers(trainer) if (left := timer.time_remaining()) is not None), None)
        self._step, self._rows, self._tokens = trainer.global_step, module.rows_seen, module.tokens_seen
        self._progress = Progress("train", self.total_steps, "steps", seconds).__enter__()
        self._progress.skip(self._step)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._progress is None or not isinstance(module, TrainingModule):
            return
        done, every = trainer.global_step, max(10 // trainer.accumulate_grad_batches, 1)  # each loss waits for the GPU
        loss = module.step_loss if done != self._step and (done - 1) % every == 0 else None
        self._progress.advance(
            trainer.global_step - self._step,
            rows=module.rows_seen - self._rows,
            tokens=module.tokens_seen - self._tokens,
            status=None if loss is None else f"loss {float(loss):.3f}{_validation(trainer)}",
        )
        self._step, self._rows, self._tokens = trainer.global_step, module.rows_seen, module.tokens_seen

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._close(None)

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self._close(exception)

    def _close(self, error: BaseException | None) -> None:
        if self._progress is not None:
            self._progress.__exit__(type(error) if error else None, error, None)
            self._progress = None


class ValidateAtEnd(Callback):
    """Ends a run with a validation where `max_steps` ends it within an epoch, as Lightning does after `max_time`.

    Without it a run shorter than an epoch would have no validation loss and no best checkpoint.
    """

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if 0 <= trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True


def _validation(trainer: lightning.Trainer) -> str:
    value = trainer.callback_metrics.get("valid/loss")
    return "" if value is None else f", valid {float(value):.3f}"


class StopRequested(Exception):  # noqa: N818
    """A stop signal ended the run; the message names the checkpoint that is kept."""


class StopOnSignal(Callback):
    """On the first Ctrl-C (or SIGTERM, which Slurm sends), finishes the current step, writes `last.ckpt` and stops.

    A step of several batches (`trainer.accumulate_grad_batches`) is finished, too. A second Ctrl-C stops immediately.
    The checkpoint is written at the end of the step. The run stops at the beginning of the next step, validation or
    epoch end, so that the figures of the step are logged before.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, checkpoint: Path):
        self.checkpoint = checkpoint
        self._asked = self._saved = False
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = {sig: signal.signal(sig, self._ask) for sig in self.SIGNALS}

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        between = not getattr(module, "accumulating", False)
        if trainer.strategy.broadcast(self._asked) and between:
            trainer.save_checkpoint(self.checkpoint)
            self._saved = True

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._stop(trainer)

    def on_validation_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._stop(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._stop(trainer)

    def _stop(self, trainer: lightning.Trainer) -> None:
        if self._saved:
            raise StopRequested(f"step {trainer.global_step:,} is kept in {self.checkpoint}")

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._restore()

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise StopRequested(f"{self.checkpoint} is unchanged, if it was written before")
        self._asked = True

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

"""The rows of a run as a data module of Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import lightning.pytorch as lightning
import torch
from torch.utils.data import DataLoader

from mammal.tasks.batches.batch import Batch
from mammal.training.loader import TaskRows, TrainLoader, in_order
from mammal.training.sampler import Budget, MixtureSampler

if TYPE_CHECKING:
    from mammal.evaluation.task_data import TaskData


class MixtureData(lightning.LightningDataModule):
    """Training batches sampled from all tasks, and validation batches of each task.

    Args:
        data: rows by name of the task.
        budget: size of a batch.
        rates: rate of each task; see `MixtureSampler`.
        temperature: see `MixtureSampler`.
        max_passes: see `MixtureSampler`.
        seed: random seed of the order of rows.
        num_workers: number of processes that collate batches.
    """

    def __init__(
        self,
        data: Mapping[str, TaskData],
        budget: Budget,
        *,
        rates: Mapping[str, float] | None = None,
        temperature: float = 1.0,
        max_passes: float | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ):
        super().__init__()
        self.data, self.budget = data, budget
        self.rates, self.temperature, self.seed = dict(rates or {}), temperature, seed
        self.max_passes, self.num_workers = max_passes, num_workers

    def sampler(self, rank: int = 0, world: int = 1) -> MixtureSampler:
        lengths = {name: data.lengths_N("train") for name, data in self.data.items()}
        shares = (self.rates, self.temperature, self.seed)
        return MixtureSampler(lengths, self.budget, *shares, rank, world, self.max_passes)

    def train_dataloader(self) -> TrainLoader:
        return TrainLoader(TaskRows(self.data, "train"), self.sampler(*self._place()), **self._settings())

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        rows = TaskRows(self.data, "valid")
        judged = [name for name, data in self.data.items() if len(data.lengths_N("valid"))]
        return [in_order(rows, name, self.budget, *self._place(), **self._settings()) for name in judged]

    def _place(self) -> tuple[int, int]:
        """Index of this process, and the number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _settings(self) -> dict[str, Any]:
        cuda = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        # A loader samples a seed for its workers in every iteration. It gets its own generator, because dropout uses
        # the global one and must not depend on how often a run was resumed.
        generator = torch.Generator().manual_seed(self.seed)
        return {"num_workers": self.num_workers, "pin_memory": cuda, "generator": generator}

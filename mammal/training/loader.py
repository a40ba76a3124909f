"""Batches of encoded rows in the order of the sampler; the position in that order is saved in checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader, Dataset

from mammal.tasks.batches.batch import Batch
from mammal.training.sampler import BatchIndex, Budget, MixtureSampler

if TYPE_CHECKING:
    from mammal.evaluation.task_data import TaskData


class TaskRows(Dataset[Batch]):
    """A data set with index (task, rows): it returns the rows of one batch, collated by their task."""

    def __init__(self, data: Mapping[str, TaskData], part: str):
        self.data, self.part = data, part

    def __getitem__(self, index: BatchIndex) -> Batch:
        name, rows = index
        data = self.data[name]
        return data.task.collate([data.examples(self.part)[row] for row in rows])


class TrainLoader(DataLoader[Batch]):
    """A DataLoader that can be stopped and resumed in the middle of an epoch.

    It counts the batches that were returned, not those that worker processes have prefetched, so the position in a
    checkpoint is exact for any `num_workers`. Lightning saves and loads it (`state_dict`, `load_state_dict`).
    """

    def __init__(self, rows: TaskRows, sampler: MixtureSampler, **settings: Any):
        super().__init__(rows, sampler=sampler, batch_size=None, **settings)
        self.order = sampler
        self._state = sampler.state_dict()

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self.order.begin()  # before the position is recorded, which must refer to the epoch that begins now
        self._state = self.order.state_dict()
        for batch in super().__iter__():
            self._state["served"] += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return dict(self._state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.order.load_state_dict(state)
        self._state = self.order.state_dict()


def in_order(
    rows: TaskRows, name: str, budget: Budget, rank: int = 0, world: int = 1, **settings: Any
) -> DataLoader[Batch]:
    """Returns a loader for the validation of one task: sorted by length, without randomness.

    With several processes, each one gets every `world`-th batch. All processes get the same number of batches, because
    a step of a sharded model needs all processes. So some batches are used twice; code that joins the answers must
    count them once.

    Args:
        rows: the data set.
        name: name of the task.
        budget: size of a batch.
        rank: index of this process.
        world: number of processes.
        settings: further arguments of the `DataLoader`.
    """
    batches: Sequence[BatchIndex] = [
        (name, batch) for batch in budget.batches(rows.data[name].lengths_N(rows.part), seed=None)
    ]
    rounds = -(-len(batches) // world)
    mine = [batches[(turn * world + rank) % len(batches)] for turn in range(rounds)]
    return DataLoader(rows, sampler=mine, batch_size=None, **settings)

"""Where the answers of a job are computed: in this process, or elsewhere (`mammal.jobs.ray_engine`).

The engine reads shards and writes answers. Between the two it gives the shards to an `Answering`, which returns their
answers in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, Protocol

from mammal.jobs.plan import JobPlan
from mammal.jobs.shard import Shard
from mammal.jobs.shard_answer import Rows, ShardAnswer, answer_shard, look_at_first, rows_of_shard
from mammal.jobs.store import ShardCounts

Advance = Callable[[int], None]
"""Function that is called with the number of rows that were just answered."""


class ReadShard(NamedTuple):
    """A shard of the input.

    Attributes:
        shard: the shard.
        owned: whether this run is to have its answers; False for a shard of another part.
        counts: its counts if an earlier run has finished it. None: it is not finished, or not owned.
        rows: its rows, if `Answering.rows` returned them.
    """

    shard: Shard
    owned: bool
    counts: ShardCounts | None
    rows: Rows | None

    @property
    def is_open(self) -> bool:
        """Whether it is to be answered."""
        return self.owned and self.counts is None


class Answering(Protocol):
    """Computes the answers of shards."""

    def running(self, plan: JobPlan) -> AbstractContextManager[None]:
        """Returns a context in which shards can be answered.

        Args:
            plan: the job.
        """

    def rows(self, plan: JobPlan, shard: Shard) -> Rows | None:
        """Returns the rows of a shard that is to be answered, if this process needs them.

        It can be called from another thread, before the shard before is answered.

        Args:
            plan: the job.
            shard: the shard.
        """

    def answers(
        self, plan: JobPlan, shards: Iterator[ReadShard], advance: Advance | None
    ) -> Generator[tuple[ReadShard, ShardAnswer | None], None, None]:
        """Yields every shard, in order, with its answer if it is to be answered.

        Args:
            plan: the job.
            shards: the shards of the input, in order.
            advance: function that may be called with the number of rows that were just answered.
        """


class Here:
    """Computes the answers in this process, one shard after the other."""

    @contextmanager
    def running(self, plan: JobPlan) -> Iterator[None]:
        with plan.workers():
            warm_up_models(plan)
            yield

    def rows(self, plan: JobPlan, shard: Shard) -> Rows | None:
        """Returns the rows, and announces them to the processes that encode them."""
        rows = rows_of_shard(plan, shard)
        look_at_first(plan, shard, rows)
        plan.question.prepare(rows)
        return rows

    def answers(
        self, plan: JobPlan, shards: Iterator[ReadShard], advance: Advance | None
    ) -> Generator[tuple[ReadShard, ShardAnswer | None], None, None]:
        for read in shards:
            yield read, answer_shard(plan, read.shard, read.rows, advance) if read.is_open else None


def warm_up_models(plan: JobPlan) -> None:
    """Warms up the models that a job uses, before the first shard.

    Args:
        plan: the job.
    """
    used = plan.question.uses
    if used:
        from mammal.jobs.warm_up import warm_up  # needs torch, which jobs without a model do not

        for one in used:
            warm_up(one)

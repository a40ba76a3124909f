"""Jobs that actors of Ray answer.

This process reads the input and writes the output. Each actor holds the model and gets whole shards, as tables, through
Ray's object store; the answers come back in the same way. So machines share the bundle, and no folder of the output.

Ray does the rest: it places the actors, starts them again if they die and repeats their calls (`max_restarts`,
`max_task_retries`). Plain actors are used, and not Ray Data, because the input can only be read from its beginning:
a dataset of shard numbers would make each actor read the whole file.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

from mammal.errors import JobError, MammalError
from mammal.jobs.answering import Advance, ReadShard
from mammal.jobs.plan import JobPlan
from mammal.jobs.ray_actor import Answered, ShardActor
from mammal.jobs.ray_cluster import ActorPlan
from mammal.jobs.shard import Shard
from mammal.jobs.shard_answer import Rows, ShardAnswer, look_at_first, rows_of_shard

logger = logging.getLogger(__name__)

TRIES = 4
"""How often a shard is given to an actor that dies with it, before the job ends."""
IN_FLIGHT = 2
"""Shards for each actor that are read and not yet written: one that it answers, and the next."""
PATIENCE = 30.0
"""Seconds without any actor after which this is logged."""


class ByRay:
    """Computes answers with actors of Ray, in a cluster that this process has joined.

    Args:
        make: returns the plan of an actor. It is sent to the actors.
        actors: how many actors there are, and what Ray reserves for each.
        keeps_ray: whether this process stays connected to Ray after the job.
    """

    def __init__(self, make: Callable[[], JobPlan], actors: ActorPlan, *, keeps_ray: bool = True):
        self._make, self._actors, self._keeps_ray = make, actors, keeps_ray
        self._starting: dict[Any, Any] = {}  # answer of `open` -> actor
        self._unfinished: dict[Any, set[Any]] = {}  # actor that has opened the model -> calls that it has not answered

    @contextmanager
    def running(self, plan: JobPlan) -> Iterator[None]:
        import ray

        how: dict[str, Any] = {"num_cpus": self._actors.cpus, "num_gpus": self._actors.gpus}
        again: dict[str, Any] = {"max_restarts": -1, "max_task_retries": TRIES - 1}
        remote: Any = ray.remote(**how, **again)(ShardActor)
        actors = [remote.remote(self._make, plan.manifest) for _ in range(self._actors.actors)]
        self._starting = {actor.open.remote(): actor for actor in actors}
        try:
            yield
        finally:
            self._starting, self._unfinished = {}, {}
            if self._keeps_ray:  # else they end with the connection
                for actor in actors:
                    ray.kill(actor)

    def rows(self, plan: JobPlan, shard: Shard) -> Rows | None:
        """Logs what is strange about the first rows. Returns None: the actors read the rows from the shard."""
        if shard.number == 0:
            look_at_first(plan, shard, rows_of_shard(plan, shard))
        return None

    def answers(
        self, plan: JobPlan, shards: Iterator[ReadShard], advance: Advance | None
    ) -> Generator[tuple[ReadShard, ShardAnswer | None], None, None]:
        """Yields every shard, in order. Rows are reported when a shard is finished, not as they are answered."""
        waiting: deque[tuple[ReadShard, Any]] = deque()
        for read in shards:
            waiting.append((read, self._submit(read.shard) if read.is_open else None))
            while waiting and (waiting[0][1] is None or len(waiting) >= IN_FLIGHT * len(self._unfinished)):
                yield self._answered(*waiting.popleft())
        while waiting:
            yield self._answered(*waiting.popleft())

    def _submit(self, shard: Shard) -> Any:
        """Gives a shard to the actor that has the least to do."""
        import ray

        self._notice_started()
        calls = [call for unfinished in self._unfinished.values() for call in unfinished]
        if calls:
            done = set(ray.wait(calls, num_returns=len(calls), timeout=0, fetch_local=False)[0])
            for unfinished in self._unfinished.values():
                unfinished -= done
        actor = min(self._unfinished, key=lambda one: len(self._unfinished[one]))
        call = actor.answer.remote(shard)
        self._unfinished[actor].add(call)
        return call

    def _notice_started(self) -> None:
        """Finds the actors that have opened the model since the last time; waits for the first one."""
        import ray

        while self._starting:
            patience = 0 if self._unfinished else PATIENCE
            waits = list(self._starting)
            opened, _ = ray.wait(waits, num_returns=len(waits) if self._unfinished else 1, timeout=patience)
            for call in opened:
                _result(call, "an actor that opens the model")
                self._unfinished[self._starting.pop(call)] = set()
            if self._unfinished:
                return
            needs = f"{self._actors.cpus} cores and {self._actors.gpus:g} GPUs"
            logger.warning("no actor has started yet; each needs %s (see `ray status`)", needs)

    def _answered(self, read: ReadShard, call: Any) -> tuple[ReadShard, ShardAnswer | None]:
        if call is None:
            return read, None
        last = read.shard.first + read.shard.rows
        answers, counts = _result(call, f"the actor with the rows {read.shard.first + 1:,} to {last:,}")
        return read, ShardAnswer(read.shard, answers, counts)


def _result(call: Any, what: str) -> Any:
    """Returns the result of a call, or raises what it raised.

    Raises:
        JobError: the actor died again and again.
    """
    import ray

    try:
        result: Answered | None = ray.get(call)
        return result
    except ray.exceptions.RayTaskError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, MammalError | OSError):
            raise cause from error
        raise
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        hint = "often the memory of a machine is too small: lower batch_tokens, shard_rows or ray.actors; "
        hint += "finished shards are kept, and the same command continues"
        raise JobError(f"{what} died {TRIES} times: {reason}", where="engine=ray", hint=hint) from error

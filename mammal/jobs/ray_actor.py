"""The actor of Ray that answers shards. It runs in a process of its own, perhaps on another machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from mammal.errors import JobError
from mammal.jobs.answering import warm_up_models
from mammal.jobs.manifest import Manifest
from mammal.jobs.memory import release_memory
from mammal.jobs.plan import JobPlan
from mammal.jobs.shard import Shard
from mammal.jobs.shard_answer import answer_shard
from mammal.jobs.store import ShardCounts
from mammal.rows.answer_columns import Record
from mammal.rows.batched import Refused

Answered = tuple[Sequence[list[Record] | Refused], ShardCounts]


class ShardActor:
    """Holds a plan with its model, which is loaded once, and answers shards with it.

    Args:
        make: returns the plan. It reads neither the input nor the output.
        expected: manifest of the job.
    """

    def __init__(self, make: Callable[[], JobPlan], expected: Manifest):
        self._make, self._expected = make, expected
        self._running = ExitStack()
        self._plan: JobPlan | None = None

    def open(self) -> None:
        """Loads the model.

        Raises:
            JobError: the plan is of another job: this machine has another bundle or other versions.
        """
        self._opened()

    def answer(self, shard: Shard) -> Answered:
        """Returns the answers of a shard, and its counts. After a restart, the model is loaded first.

        Args:
            shard: the shard.
        """
        answer = answer_shard(self._opened(), shard)
        release_memory()
        return answer.answers, answer.counts

    def _opened(self) -> JobPlan:
        if self._plan is None:
            plan = self._make()
            self._check(plan.manifest)
            self._running.enter_context(plan.workers())
            warm_up_models(plan)
            self._plan = plan
        return self._plan

    def _check(self, own: Manifest) -> None:
        changed = replace(own, files=self._expected.files).differences(self._expected)
        if changed:
            raise JobError(
                "an actor can't answer as this process would: " + "; ".join(changed),
                where="engine=ray",
                hint="all machines need the same bundle, the same versions and the same kind of device",
            )

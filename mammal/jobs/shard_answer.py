"""The answer of one shard. It depends on the plan and the shard only, whoever computes it and in whatever order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mammal.jobs.plan import JobPlan
from mammal.jobs.shard import Shard
from mammal.jobs.store import ShardCounts
from mammal.rows.answer_columns import Record
from mammal.rows.batched import Refused
from mammal.rows.cut_rows import FIRST, rows_cut

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ShardAnswer:
    """The answers of a shard.

    Attributes:
        shard: the shard.
        answers: for each row its records, or the reason why it has none.
        counts: number of rows with and without an answer.
    """

    shard: Shard
    answers: Sequence[list[Record] | Refused]
    counts: ShardCounts


def rows_of_shard(plan: JobPlan, shard: Shard) -> Rows:
    """Returns the rows of a shard under the names that the question reads.

    Args:
        plan: the job.
        shard: the shard.
    """
    return plan.question.reading.rows(shard.records, plan.given.schema.names, plan.sources)


def look_at_first(plan: JobPlan, shard: Shard, rows: Rows) -> None:
    """Logs what is strange about the rows of the first shard; does nothing for other shards.

    Args:
        plan: the job.
        shard: the shard.
        rows: its rows.
    """
    if shard.number == 0:
        plan.question.look_at(rows, plan.sources)


def answer_shard(
    plan: JobPlan, shard: Shard, rows: Rows | None = None, advance: Callable[[int], None] | None = None
) -> ShardAnswer:
    """Computes the answers of a shard. The models must be warmed up before the first shard.

    Args:
        plan: the job.
        shard: the shard.
        rows: result of `rows_of_shard`, if it is known.
        advance: function that is called with the number of rows that were just answered.
    """
    rows = rows_of_shard(plan, shard) if rows is None else rows
    answers = plan.question.ask(rows, first=shard.first, progress=advance)
    for position, reason in shard.damaged.items():
        answers[position] = Refused(reason)
    bad = len(plan.layout.reasons(answers))
    cut = [shard.first + place + 1 for place in rows_cut(answers)]
    return ShardAnswer(shard, answers, ShardCounts(shard.rows, shard.rows - bad, bad, len(cut), cut[:FIRST]))


def write_answer(plan: JobPlan, answer: ShardAnswer) -> None:
    """Writes the answers of a shard into the folder of shards, and marks the shard as finished.

    Args:
        plan: the job.
        answer: the answers.

    Raises:
        OSError: they can't be written.
    """
    shard, answers = answer.shard, answer.answers
    answered, refused = plan.layout.answered(shard, answers), plan.layout.refused(shard, answers)
    plan.store.write(shard.number, answered, refused, answer.counts)

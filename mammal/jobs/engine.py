"""The local engine: answers the input of a job shard by shard, and writes each shard as soon as it is answered.

Every job runs through `run_plan`. It checks input and output, finds the shards that an earlier run has finished, warms
up the models, answers the remaining shards and joins all of them (see `mammal.jobs.run_job` for what is guaranteed).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mammal.errors import JobError
from mammal.jobs.plan import JobPlan
from mammal.jobs.shard import Shard
from mammal.jobs.store import ShardCounts
from mammal.rows.batched import Refused
from mammal.rows.cut_rows import FIRST, rows_cut


@dataclass(frozen=True)
class JobReport:
    """The result of a job.

    Attributes:
        output: file or folder with every row that has an answer, or with every row (`keeps_rows`). A remote output is
            a text, its URL.
        errors: file with every row that has no answer. None if there is none.
        rows: number of rows of the input.
        ok: number of rows with an answer.
        bad: number of rows without an answer.
        resumed: number of rows that an earlier run had finished.
        seconds: duration of this run, without loading the model and warming it up.
        keeps_rows: rows without an answer are in the output, too, in their place.
        cut: number of rows with an answer of which the model has read only a part, because they are longer than its
            limit.
        first_cut: numbers of the first of these rows in the input, counted from 1.
        cut_column: column of the output that marks these rows, `cut` unless the input has one. None if there are none.
        meanings: added column -> what its values are, where its name does not say it: a unit, or the positive class.
    """

    output: Path | str
    errors: Path | str | None
    rows: int
    ok: int
    bad: int
    resumed: int
    seconds: float
    keeps_rows: bool = False
    cut: int = 0
    first_cut: tuple[int, ...] = ()
    cut_column: str | None = None
    meanings: Mapping[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """Exit code of the command line: 0 if all rows have an answer, else 3."""
        return 3 if self.bad else 0


@dataclass(frozen=True)
class JobProgress:
    """The progress of a job.

    Attributes:
        done: number of rows that are finished.
        rows: number of rows of the input. None if it is not known yet.
        bad: number of rows without an answer so far.
        resumed: number of rows among `done` that an earlier run had finished.
    """

    done: int
    rows: int | None
    bad: int
    resumed: int = 0


Follow = Callable[[JobProgress], None]


def run_plan(plan: JobPlan, *, resume: bool = True, progress: Follow | None = None) -> JobReport:
    """Answers every shard that no earlier run has answered, then joins all shards into the output.

    Args:
        plan: the job.
        resume: continue an earlier run of the same job. False: start again. A finished output is replaced when
            the new one is complete.
        progress: function that is called with a `JobProgress` after each batch of answers and after each shard.

    Returns:
        Number of rows with and without an answer, and the files that were written.

    Raises:
        DataError: the input lacks a column that is read, or already has a column that is to be added.
        ConfigError: `shard_rows` of the plan is less than 1, `keep_rows` can't be used, or the output would replace a
            file that is read.
        JobError: the output exists and belongs to another job, is being written by another process, or can't be
            written.
    """
    plan.check()
    store, manifest = plan.store, plan.manifest
    with _as_job_errors(store.output), store.locked():
        former = store.begin(manifest, resume=resume)
        if former.complete and former.counts is not None:
            return _report(plan, ShardCounts(**former.counts), former.counts["rows"])
        with plan.workers():
            _warm_up(plan)
            start = time.monotonic()
            total, resumed, shards = _answer_shards(plan, progress)
        store.finish(manifest, shards, total, plan.layout.final_schema(cut=total.cut > 0))
    return _report(plan, total, resumed, time.monotonic() - start)


def _warm_up(plan: JobPlan) -> None:
    used = plan.question.uses
    if used:
        from mammal.jobs.warm_up import warm_up  # needs torch, which jobs without a model do not

        for one in used:
            warm_up(one)


def _answer_shards(plan: JobPlan, progress: Follow | None) -> tuple[ShardCounts, int, int]:
    """Returns the counts of all shards, the number of rows that an earlier run finished, and the number of shards."""
    total, resumed, shards = ShardCounts(0, 0, 0), 0, 0
    rows = None if progress is None else plan.given.count()
    for shard in plan.given.shards(plan.shard_rows):
        counts = plan.store.counts(shard.number)
        if counts is None:
            advance = (
                None if progress is None else _advanced(progress, JobProgress(total.rows, rows, total.bad, resumed))
            )
            counts = _answer(plan, shard, advance)
        else:
            resumed += counts.rows
        total, shards = total + counts, shards + 1
        if progress is not None:
            progress(JobProgress(total.rows, rows, total.bad, resumed))
    return total, resumed, shards


def _advanced(progress: Follow, before: JobProgress) -> Callable[[int], None]:
    """Reports rows of a shard as they are answered."""
    done = before.done

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        progress(replace(before, done=done))

    return advance


def _answer(plan: JobPlan, shard: Shard, advance: Callable[[int], None] | None) -> ShardCounts:
    rows = plan.question.reading.rows(shard.records, plan.given.schema.names, plan.sources)
    if shard.number == 0:
        plan.question.look_at(rows, plan.sources)
    answers = plan.question.ask(rows, first=shard.first, progress=advance)
    for position, reason in shard.damaged.items():
        answers[position] = Refused(reason)
    refused = plan.layout.refused(shard, answers)
    cut = [shard.first + place + 1 for place in rows_cut(answers)]
    counts = ShardCounts(shard.rows, shard.rows - len(refused), len(refused), len(cut), cut[:FIRST])
    plan.store.write(shard.number, plan.layout.answered(shard, answers), refused, counts)
    return counts


def _report(plan: JobPlan, total: ShardCounts, resumed: int, seconds: float = 0.0) -> JobReport:
    output = plan.store.shown_output
    errors = plan.store.shown_errors if total.bad else None
    cut = (total.cut, tuple(total.first_cut), plan.layout.cut_name if total.cut else None)
    counts = (total.rows, total.ok, total.bad, resumed)
    return JobReport(output, errors, *counts, seconds, plan.keeps_rows, *cut, meanings=plan.meanings)


@contextmanager
def _as_job_errors(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = "finished shards are kept: fix the cause and run the same command again"
        raise JobError(reason, where=str(error.filename or output), hint=hint) from error

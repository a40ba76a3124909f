"""The engine of jobs: has the input answered shard by shard, and writes each shard as soon as it is answered.

Every job runs through `run_plan`. It checks input and output, finds the shards that an earlier run has finished, has
the remaining shards answered (`mammal.jobs.answering`: in this process, or by Ray) and joins all of them (see
`mammal.jobs.run_job` for what is guaranteed).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mammal.errors import ConfigError, JobError
from mammal.jobs.answering import Answering, Here, ReadShard
from mammal.jobs.background import InOrder, read_ahead
from mammal.jobs.error_limit import ErrorLimit
from mammal.jobs.inputs import JobInput
from mammal.jobs.memory import release_memory
from mammal.jobs.parts import Part
from mammal.jobs.plan import JobPlan
from mammal.jobs.shard_answer import write_answer
from mammal.jobs.store import OutputLockedError, ShardCounts

PATIENCE = 60.0
"""Seconds that the last part waits for other parts to end before it joins the shards."""


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
        part: the share of the shards that this run answered, such as `3/8`; the numbers of rows are those of the share.
            None: all shards.
        complete: whether the output has been written. False: other parts have not answered their shards yet.
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
    part: str | None = None
    complete: bool = True

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


def run_plan(
    plan: JobPlan,
    *,
    resume: bool = True,
    progress: Follow | None = None,
    part: str | Part | None = None,
    max_errors: float | None = None,
    answering: Answering | None = None,
) -> JobReport:
    """Answers every shard that no earlier run has answered, then joins all shards into the output.

    Args:
        plan: the job.
        resume: continue an earlier run of the same job. False: start again. A finished output is replaced when
            the new one is complete.
        progress: function that is called with a `JobProgress` after each batch of answers and after each shard.
        part: answer only this share of the shards, such as `"3/8"`. The last part that ends joins the shards.
        max_errors: end when more rows than this have no answer. A number from 0 to 1 (exclusive) is a share of the rows
            answered so far, a whole number is a number of rows. It is compared after each shard. None: no limit.
        answering: where the answers are computed. Default: in this process. The bytes of the output do not depend on
            it.

    Returns:
        Number of rows with and without an answer, and the files that were written.

    Raises:
        DataError: the input lacks a column that is read, or already has a column that is to be added.
        ConfigError: `shard_rows` of the plan is less than 1, `keep_rows`, `part` or `max_errors` can't be used, or the
            output would replace a file that is read.
        JobError: the output exists and belongs to another job, is being written by another process, or can't be
            written; or the input changed while it was read.
        TooManyErrorsError: more rows than `max_errors` have no answer. Finished shards are kept.
    """
    share, limit = Part.parse(part), ErrorLimit.parse(max_errors)
    answering = answering or Here()
    plan.check()
    if share is not None and not resume:
        hint = "run it once without part, or remove the output, its manifest and the folder of shards"
        raise ConfigError("resume=false would delete the shards of the other parts", hint=hint)
    if share is not None and plan.store.written_url is not None:
        hint = "write to a folder that all machines can access"
        raise ConfigError(
            "part can't be used with an output in a remote store", where=plan.store.written_url, hint=hint
        )
    store, manifest = plan.store, plan.manifest
    with _as_job_errors(store.output):
        with store.locked(share):
            former = store.begin(manifest, resume=resume)
            if former.complete and former.counts is not None:
                return _report(plan, _Done(ShardCounts(**former.counts), former.counts["rows"]))
            with answering.running(plan):
                done = _answer_shards(plan, answering, share, limit, progress)
            if share is None:
                store.finish(manifest, done.shards, done.total, plan.layout.final_schema(cut=done.total.cut > 0))
                return _report(plan, done)
        return _report(plan, done, share, joined=_join_parts(plan, done.shards))


@dataclass(frozen=True)
class _Done:
    """What a run has done.

    Attributes:
        total: counts of the shards that this run and earlier ones answered; with a part, of its shards.
        resumed: number of rows that earlier runs answered.
        shards: number of shards of the input.
        start: when it began, by the monotonic clock. None: it found a complete output.
    """

    total: ShardCounts
    resumed: int
    shards: int = 0
    start: float | None = None


def _answer_shards(
    plan: JobPlan, answering: Answering, part: Part | None, limit: ErrorLimit | None, progress: Follow | None
) -> _Done:
    """Has the shards answered that are not finished. The next one is read, and the last one written, meanwhile."""
    start = time.monotonic()
    total, resumed, shards = ShardCounts(0, 0, 0), 0, 0
    follow = None if progress is None else _Followed(progress, _row_count(plan, part))
    unchanged = _watch(plan.given)
    found = _shards(plan, answering, part)
    with (
        InOrder(_behind(plan)) as writer,
        closing(_read(plan, found)) as ready,
        closing(answering.answers(plan, ready, None if follow is None else follow.advance)) as answered,
    ):
        for read, answer in answered:
            shards += 1
            if not read.owned:
                continue
            counts = read.counts
            if answer is not None:
                unchanged()
                writer.submit(partial(write_answer, plan, answer))
                counts = answer.counts
                release_memory()
            elif counts is not None:
                resumed += counts.rows
            assert counts is not None, "an open shard has an answer, another one its counts"
            total = total + counts
            if follow is not None:
                follow.finished(total, resumed)
            if limit is not None:
                limit.check(total, str(plan.store.output))
    return _Done(total, resumed, shards, start)


def _shards(plan: JobPlan, answering: Answering, part: Part | None) -> Generator[ReadShard, None, None]:
    """Reads the shards, and finds out which of them are to be answered."""
    for shard in plan.given.shards(plan.shard_rows):
        owned = part is None or part.owns(shard.number)
        counts = plan.store.counts(shard.number) if owned else None
        rows = answering.rows(plan, shard) if owned and counts is None else None
        yield ReadShard(shard, owned, counts, rows)


def _read(plan: JobPlan, shards: Generator[ReadShard, None, None]) -> Generator[ReadShard, None, None]:
    """Reads one shard ahead. An SDF file is read between two shards: RDKit's log, which has the reasons of damaged
    molecules, is one for all threads."""
    names = [*map(str, plan.given.local_files.values()), *plan.given.urls]
    return shards if any(".sdf" in name.lower() for name in names) else read_ahead(shards)


def _row_count(plan: JobPlan, part: Part | None) -> int | None:
    total = plan.given.count()
    return total if total is None or part is None else part.rows(total, plan.shard_rows)


def _behind(plan: JobPlan) -> int:
    """Shards that may wait to be written. None if one of them can take much memory, or is written with RDKit."""
    large = any(column.holds == "matrix" for column in plan.question.columns)
    return 0 if large or plan.store.form.suffix == ".sdf" else 1


def _watch(given: JobInput) -> Callable[[], None]:
    """Returns a function that compares the files of an input with their state now.

    It is called after a shard was read and before it is written, so that no shard with rows of a changed file is kept.
    """
    before = {file: _state(file) for file in given.local_files.values()}

    def check() -> None:
        for file, state in before.items():
            if _state(file) != state:
                hint = "finished shards are of the earlier file; run the same command with resume=false"
                raise JobError("the input was changed while it was read", where=str(file), hint=hint)

    return check


def _state(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _join_parts(plan: JobPlan, shards: int) -> bool:
    """Joins the shards if all parts have answered theirs. Returns whether the output is complete."""
    if plan.store.total(shards) is None:
        return False
    try:
        with plan.store.locked(patience=PATIENCE):
            former = plan.store.begin(plan.manifest, resume=True)
            total = plan.store.total(shards)
            if not former.complete and total is not None:
                plan.store.finish(plan.manifest, shards, total, plan.layout.final_schema(cut=total.cut > 0))
            return former.complete or total is not None
    except OutputLockedError:
        return False


class _Followed:
    """Reports finished shards, and the rows of the next ones as they are answered.

    Args:
        report: function that is called.
        rows: number of rows of the input. None: unknown.
    """

    def __init__(self, report: Follow, rows: int | None):
        self._report = report
        self._now = JobProgress(0, rows, 0)

    def advance(self, rows: int) -> None:
        self._now = replace(self._now, done=self._now.done + rows)
        self._report(self._now)

    def finished(self, total: ShardCounts, resumed: int) -> None:
        self._now = JobProgress(total.rows, self._now.rows, total.bad, resumed)
        self._report(self._now)


def _report(plan: JobPlan, done: _Done, part: Part | None = None, *, joined: bool = True) -> JobReport:
    output, total = plan.store.shown_output, done.total
    errors = plan.store.shown_errors if joined and total.bad else None
    cut = (total.cut, tuple(total.first_cut), plan.layout.cut_name if total.cut else None)
    counts = (total.rows, total.ok, total.bad, done.resumed)
    share = None if part is None else str(part)
    how: dict[str, Any] = {"meanings": plan.meanings, "part": share, "complete": joined}
    seconds = 0.0 if done.start is None else time.monotonic() - done.start
    return JobReport(output, errors, *counts, seconds, plan.keeps_rows, *cut, **how)


@contextmanager
def _as_job_errors(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = "finished shards are kept: fix the cause and run the same command again"
        raise JobError(reason, where=str(error.filename or output), hint=hint) from error

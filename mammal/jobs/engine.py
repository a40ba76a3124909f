"""The local engine: shard after shard through whoever answers rows, written as it goes.

What is asked is not the engine's business: a model's verbs, naming molecules and cutting windows out of a genome all
run through here, and all have the same promises (see `run_job`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mammal.errors import ConfigError, JobError
from mammal.jobs.inputs import JobInput, Shard
from mammal.jobs.layout import Layout
from mammal.jobs.manifest import Manifest
from mammal.jobs.store import ShardCounts, Store
from mammal.rows.answer_columns import AnswerColumn
from mammal.rows.batched import Refused
from mammal.rows.question import Record

SHARD_ROWS = 10_000


class Answerer(Protocol):
    """Whoever gives records for rows; `mammal.rows.question.Question` is one."""

    @property
    def columns(self) -> Sequence[AnswerColumn]:
        """Columns that a record fills."""

    def ask(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        first: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> list[list[Record] | Refused]:
        """For each row its records, or why there is none.

        Args:
            first: position of the first of them in the input.
            progress: called with the number of rows that were just answered.
        """


@dataclass(frozen=True)
class JobReport:
    """What became of a job.

    Attributes:
        output: the file with every row that has an answer.
        errors: the file with every other row, None where there is none.
        rows, ok, bad: rows of the input: all, with an answer, without one.
        resumed: rows that an earlier run had done.
        seconds: of this run, the model's loading left out.
    """

    output: Path
    errors: Path | None
    rows: int
    ok: int
    bad: int
    resumed: int
    seconds: float

    @property
    def exit_code(self) -> int:
        """0: all rows have an answer; 3: some were set aside."""
        return 3 if self.bad else 0


@dataclass(frozen=True)
class JobProgress:
    """Where a job stands: rows done (of `rows`, None where only reading will tell), and how many were set aside."""

    done: int
    rows: int | None
    bad: int


Follow = Callable[[JobProgress], None]


@dataclass(frozen=True)
class Engine:
    """One job, ready to go.

    Attributes:
        answerer: gives records for rows.
        given: the input.
        names: columns of the input that the answerer reads.
        layout: columns of the output.
        store: the output.
    """

    answerer: Answerer
    given: JobInput
    names: Sequence[str]
    layout: Layout
    store: Store

    def go(
        self, manifest: Manifest, *, shard_rows: int = SHARD_ROWS, resume: bool = True, progress: Follow | None = None
    ) -> JobReport:
        """Answers every shard that no earlier run has answered, then joins them.

        Raises:
            JobError: the output stands and was made otherwise, is being written by another run, or can't be written.
        """
        if shard_rows < 1:
            raise ConfigError(f"shard_rows must be at least 1, not {shard_rows}")
        start = time.monotonic()
        with _told_as_job_errors(self.store.output), self.store.locked():
            former = self.store.begin(manifest, resume=resume)
            if former.complete and former.counts is not None:
                return self._report(ShardCounts(**former.counts), former.counts["rows"], start)
            total, resumed, shards = ShardCounts(0, 0, 0), 0, 0
            for shard in self.given.shards(shard_rows):
                counts = self.store.counts(shard.number)
                if counts is None:
                    counts = self._answer(shard, total, progress)
                else:
                    resumed += counts.rows
                total, shards = total + counts, shards + 1
                if progress is not None:
                    progress(JobProgress(total.rows, self.given.rows, total.bad))
            self.store.finish(manifest, shards, total, self.layout.schema)
        return self._report(total, resumed, start)

    def _answer(self, shard: Shard, before: ShardCounts, progress: Follow | None) -> ShardCounts:
        done = before.rows

        def advance(rows: int) -> None:
            nonlocal done
            done += rows
            if progress is not None:
                progress(JobProgress(done, self.given.rows, before.bad))

        answers = self.answerer.ask(shard.records(self.names), first=shard.first, progress=advance)
        for position, reason in shard.damaged.items():
            answers[position] = Refused(reason)
        refused = self.layout.refused(shard, answers)
        counts = ShardCounts(shard.rows, shard.rows - len(refused), len(refused))
        self.store.write(shard.number, self.layout.answered(shard, answers), refused, counts)
        return counts

    def _report(self, total: ShardCounts, resumed: int, start: float) -> JobReport:
        errors = self.store.errors if total.bad else None
        seconds = time.monotonic() - start
        return JobReport(self.store.output, errors, total.rows, total.ok, total.bad, resumed, seconds)


@contextmanager
def _told_as_job_errors(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = "finished shards are kept: mend that and run the same command again"
        raise JobError(reason, where=str(error.filename or output), hint=hint) from error

"""The local engine: shard after shard through the model, written as it goes."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import __version__
from mammal.choose import TaskLike, entity_task
from mammal.errors import ConfigError, JobError, did_you_mean
from mammal.inference import Mammal, load
from mammal.jobs.inputs import JobInput, no_input, open_input
from mammal.jobs.manifest import Manifest, bundle_hash
from mammal.jobs.results import Layout
from mammal.jobs.settle import settle
from mammal.jobs.store import ShardCounts, Store
from mammal.jobs.tables import check_output
from mammal.locate import locate
from mammal.prompts import PROMPT
from mammal.questions import Embed, Generate, Predict, Question, Score
from mammal.walk import Refused

if TYPE_CHECKING:
    from mammal.tasks.task import Task

SHARD_ROWS = 10_000

VERBS = {
    "predict": ("vocabulary", "every_label"),
    "embed": ("entity", "pooling"),
    "score": (),
    "generate": ("n", "temperature", "top_p", "top_k", "num_beams", "max_new_tokens", "do_sample", "seed"),
}
"""Verbs and the options that each takes, as the methods of `Mammal` do."""


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


def run_job(
    verb: str,
    source: str | os.PathLike[str],
    input: str | os.PathLike[str] | None,
    output: str | os.PathLike[str],
    *,
    task: TaskLike | None = None,
    columns: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    prefix: str = "",
    shard_rows: int = SHARD_ROWS,
    resume: bool = True,
    device: str = "auto",
    dtype: str = "auto",
    batch_tokens: int | None = None,
    workers: int | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    progress: Callable[[JobProgress], None] | None = None,
) -> JobReport:
    """Asks a model about every row of a file, in constant memory; killed at any instant, it goes on where it was.

    Every row of the input ends either in the output, in order, with all its columns and those of the answer, or in
    `<output>.errors.parquet` with its number and the reason. Run again with the same input, bundle and options, a job
    that was cut off ends with the same bytes as one that was not (on an equal machine); one that is complete does
    nothing.

    Args:
        verb: predict, embed, score or generate.
        source: the model, as for `mammal.load`.
        input: a table. None: for `generate` with a task that reads nothing; then `options["n"]` rows are made.
        output: .parquet, .csv, .tsv or .jsonl.
        task, columns: as for `Mammal.predict`. Without a task, a file with a column `prompt` is read as prompts.
        options: what else the verb takes (`VERBS`).
        prefix: put before the names of the columns that are added.
        shard_rows: rows that are written together.
        resume: go on with what an earlier run left; False replaces it.
        batch_tokens: tokens of a batch; default: by device.
        workers: processes that prepare rows ahead of the model; default: none on a CPU, up to eight for a GPU.

    Raises:
        JobError: the output stands and was made otherwise, is being written by another run, or can't be written.
        MammalError: the model, the task, the input or an option is wrong.
    """
    target = Path(output).expanduser()
    settings = {name: value for name, value in (options or {}).items() if value is not None}
    _check_options(verb, settings, shard_rows)
    model = load(source, device=device, dtype=dtype, tokenizer=tokenizer)
    if batch_tokens is not None:
        model.pace = replace(model.pace, tokens=batch_tokens)
    given = _open(verb, input, settings)
    question = _question(verb, model, _task(verb, model, task, columns, settings, given), settings, prefix)
    names = question.reading.among(given.schema.names)
    question.reading.check(given.schema.names)
    layout = Layout(given.schema, question.columns, prefix)
    check_output(target, layout.schema)
    told = {
        **settings,
        "prefix": prefix,
        "shard_rows": shard_rows,
        "batch_tokens": model.pace.tokens,
        "task": _identity(question),
        "device": model.device.type,
        "dtype": str(model.model.dtype),
    }
    manifest = Manifest(verb, given.fingerprint, bundle_hash(locate(source)), told, _versions())
    with _told_as_job_errors(target), _prepared_by(question, _workers(workers, model)):
        settle(model.model, question)
        return _Run(question, layout, given, Store(target), names).go(manifest, shard_rows, resume, progress)


@dataclass(frozen=True)
class _Run:
    question: Question
    layout: Layout
    given: JobInput
    store: Store
    names: list[str]

    def go(
        self, manifest: Manifest, shard_rows: int, resume: bool, progress: Callable[[JobProgress], None] | None
    ) -> JobReport:
        start = time.monotonic()
        with self.store.locked():
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

    def _answer(self, shard: Any, before: ShardCounts, progress: Callable[[JobProgress], None] | None) -> ShardCounts:
        done = before.rows

        def advance(rows: int) -> None:
            nonlocal done
            done += rows
            if progress is not None:
                progress(JobProgress(done, self.given.rows, before.bad))

        answers = self.question.ask(shard.records(self.names), part=shard.number, progress=advance)
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


def _check_options(verb: str, settings: Mapping[str, Any], shard_rows: int) -> None:
    if verb not in VERBS:
        raise ConfigError(f"there is no job {verb!r}", hint=did_you_mean(verb, VERBS, noun="job"))
    for name in settings:
        if name not in VERBS[verb]:
            raise ConfigError(f"{verb} has no option {name!r}", hint=did_you_mean(name, VERBS[verb], noun="option"))
    if shard_rows < 1:
        raise ConfigError(f"shard_rows must be at least 1, not {shard_rows}")


def _open(verb: str, input: str | os.PathLike[str] | None, settings: dict[str, Any]) -> JobInput:
    """The input; without one, as many rows as sequences are asked for, each drawn by itself."""
    if input is not None:
        return open_input(input)
    if verb != "generate":
        raise ConfigError(f"{verb} needs an input")
    if "num_beams" not in settings:
        settings.setdefault("do_sample", True)
    return no_input(int(settings.pop("n", 1)))


def _task(
    verb: str,
    model: Mammal,
    task: TaskLike | None,
    columns: Mapping[str, str] | None,
    settings: Mapping[str, Any],
    given: JobInput,
) -> Task | None:
    """The task that is asked; None: rows are prompts."""
    if verb == "embed" and "entity" in settings:
        chosen = entity_task(settings["entity"], model.tokenizer)
        return model.find_task(chosen, columns)
    if task is None and verb in ("generate", "score") and PROMPT in given.schema.names:
        return None
    return model.find_task(task, columns)


def _question(verb: str, model: Mammal, task: Task | None, settings: Mapping[str, Any], prefix: str) -> Question:
    if verb == "score":
        return Score(model.model, model.tokenizer, task, model.pace, prefix=prefix)
    if verb == "generate":
        draws = {name: value for name, value in settings.items() if name != "n"}
        n = int(settings.get("n", 1))
        return Generate(model.model, model.tokenizer, task, model.pace, n=n, settings=draws, prefix=prefix)
    assert task is not None, "only generate and score read prompts"
    if verb == "embed":
        return Embed(model.model, task, model.pace, pooling=settings.get("pooling", "mean"), prefix=prefix)
    return Predict(model.model, task, model.pace, prefix=prefix, **settings)


def _identity(question: Question) -> str:
    """Name of the task, and a digest of everything that it says and has learnt."""
    if question.task is None:
        return "prompts"
    content = json.dumps([asdict(question.task.config), question.task.state()], sort_keys=True, default=str)
    return f"{question.task.name} {hashlib.blake2b(content.encode(), digest_size=6).hexdigest()}"


def _workers(asked: int | None, model: Mammal) -> int:
    """Without a GPU the model uses every core itself."""
    if asked is None:
        return min(8, (os.cpu_count() or 1) - 1) if model.device.type == "cuda" else 0
    if asked < 0:
        raise ConfigError(f"workers must be 0 or more, not {asked}")
    return asked


@contextmanager
def _prepared_by(question: Question, workers: int) -> Iterator[None]:
    if not workers:
        yield
        return
    from mammal.parallel import ParallelEncoder

    with ParallelEncoder(question.encoder, workers) as encoder:
        question.encoder = encoder
        yield


def _versions() -> dict[str, str]:
    import torch

    return {"mammal": __version__, "torch": torch.__version__}


@contextmanager
def _told_as_job_errors(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        hint = "finished shards are kept: mend that and run the same command again"
        raise JobError(reason, where=str(error.filename or output), hint=hint) from error

"""Shared code of the verbs predict, embed, generate, score and explain: they answer the rows of a file."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mammal import console
from mammal.bundle.heads import head_bundle
from mammal.cli import BAD_ROWS, DONE, TERMINATED
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain
from mammal.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from mammal.inference.api import Mammal
    from mammal.jobs import JobProgress, JobReport


def run(verb: str, argv: Sequence[str]) -> int:
    """Composes the configuration of a verb and answers the rows.

    Args:
        verb: predict, embed, generate, score or explain.
        argv: words after the verb.

    Returns:
        The exit code: 3 if some rows have no answer.
    """
    return run_verb(verb, argv, lambda config, config_dirs: answer_rows(verb, plain(config), config_dirs))


def answer_rows(verb: str, options: dict[str, Any], config_dirs: Sequence[Path] = ()) -> int:
    """Answers rows with a composed configuration.

    Args:
        verb: predict, embed, generate, score or explain.
        options: the configuration.
        config_dirs: folders of the user with `task/*.yaml`.

    Returns:
        The exit code.

    Raises:
        ConfigError: two options exclude each other, or a value is wrong.
    """
    shared = {name: options.pop(name) for name in SHARED}
    if verb in OF_HEADS:
        shared["bundle"] = head_bundle(shared["bundle"], shared["task"], verb)
    prompt: dict[str, Any] = {name: options.pop(name) for name in ("prompt", "target") if name in options}
    if prompt.get("prompt") is not None:
        for name in ("input", "output"):
            if shared[name] is not None:
                hint = "the answer to a prompt is printed" if name == "output" else "give only one of them"
                raise ConfigError(f"both {name} and prompt are given", where=f"mammal {verb}", hint=hint)
    check_input_encoding(shared)
    if shared["output"] is None:
        for name in ("part", "max_errors"):
            if shared[name] is not None:
                raise ConfigError(f"{name} is for jobs that write a file", where=f"mammal {verb}", hint="output=FILE")
        if shared["engine"] != "local":
            what = f"engine={shared['engine']} is for jobs that write a file"
            raise ConfigError(what, where=f"mammal {verb}", hint="output=FILE")
        return _to_terminal(verb, shared, prompt, options, config_dirs)
    return _to_file(verb, shared, options, config_dirs)


SHARED = (
    "bundle",
    "input",
    "output",
    "task",
    "columns",
    "view",
    "encoding",
    "file_column",
    "prefix",
    "tokenizer",
    "device",
    "dtype",
    "batch_tokens",
    "shard_rows",
    "workers",
    "keep_rows",
    "resume",
    "part",
    "max_errors",
    "engine",
    "ray",
)
"""Keys about the job. The other keys are about the question."""

OF_HEADS = ("predict", "explain")
"""Verbs that use the shipped head of the task if no bundle is given."""

OPENED = ("device", "dtype", "tokenizer", "batch_tokens")
"""Keys about how the model is opened."""


def check_input_encoding(options: Mapping[str, Any]) -> None:
    """Checks the encoding of the input before a model is opened.

    Args:
        options: the configuration, with `input` and `encoding`.

    Raises:
        MammalError: there is no such encoding, or it can't be used for the input.
    """
    if options["encoding"] is not None:
        from mammal.jobs.inputs import check_encoding

        check_encoding(options["encoding"], options["input"])


def _to_file(verb: str, shared: dict[str, Any], options: dict[str, Any], config_dirs: Sequence[Path]) -> int:
    from mammal.jobs import run_job

    source, given, output = (shared.pop(name) for name in ("bundle", "input", "output"))
    shared["columns"] = shared["columns"] or None
    job = partial(run_job, verb, source, given, output, options=options, config_dirs=config_dirs, **shared)
    return follow_job(verb, job)


def follow_job(verb: str, job: Callable[..., JobReport]) -> int:
    """Runs a job with a progress line, then prints how many rows have an answer.

    Args:
        verb: title of the progress line.
        job: function that runs the job. It gets an argument `progress`.

    Returns:
        The exit code.
    """
    with console.Progress(verb) as progress, ended_by_sigterm():
        report = job(progress=_Follower(progress))
    if not report.complete:
        console.note(f"{report.rows:,} rows of part {report.part} answered, {report.bad:,} of them without an answer")
        console.note(f"{report.output} is written when the other parts are done, by the last of them")
        return report.exit_code
    kept = f", {report.resumed:,} of them from an earlier run" if report.resumed else ""
    console.note(f"{report.rows if report.keeps_rows else report.ok:,} rows in {report.output}{kept}")
    _note_meanings(report.meanings)
    if report.cut:
        from mammal.rows.cut_rows import cut_message

        console.note(cut_message(report.cut, report.first_cut, report.cut_column))
    if report.bad:
        stay = "; they are in the output, too" if report.keeps_rows else ""
        console.note(f"{report.bad:,} rows without an answer, with the reasons, in {report.errors}{stay}")
    return report.exit_code


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Ends the process with exit code 143 when it gets SIGTERM, after the shard that is being written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> NoReturn:
        console.note("terminated: finished shards are kept; the same command continues")
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _note_meanings(meanings: Mapping[str, str]) -> None:
    if meanings:
        from mammal.rows.answer_columns import meaning_lines

        for line in meaning_lines(meanings):
            console.note(line)


class _Follower:
    """Updates the progress line when a job reports its progress."""

    def __init__(self, progress: console.Progress):
        self.progress = progress
        self._done = self._resumed = 0

    def __call__(self, now: JobProgress) -> None:
        resumed, self._resumed = now.resumed - self._resumed, now.resumed
        new, self._done = now.done - self._done - resumed, now.done
        self.progress.total = now.rows
        self.progress.skip(resumed)
        self.progress.advance(new, rows=new, status=f"{now.bad:,} without an answer" if now.bad else None)


def _to_terminal(
    verb: str, shared: dict[str, Any], prompt: dict[str, Any], options: dict[str, Any], config_dirs: Sequence[Path]
) -> int:
    from mammal.jobs.loaded_model import open_model

    if verb == "embed":
        raise ConfigError("embed needs an output", where="mammal embed", hint="output=vectors.parquet")
    model = open_model(shared["bundle"], config_dirs=config_dirs, **{name: shared[name] for name in OPENED})
    code = print_frame(_ask(verb, model, shared, prompt, options), shared["prefix"])
    if verb == "predict":
        _note_meanings(_meanings(model, shared["task"], shared["prefix"]))
    return code


def _meanings(model: Mammal, task: Any, prefix: str) -> dict[str, str]:
    """Added column -> what its values are, where its name does not say it."""
    from mammal.inference.several_tasks import several_tasks, task_prefix
    from mammal.rows.answer_columns import column_meanings

    several = several_tasks(model, task)
    described = [(model.find_task(task), prefix)] if several is None else [(t, task_prefix(t, prefix)) for t in several]
    return {name: text for one, start in described for name, text in column_meanings(one, start).items()}


def print_frame(frame: pd.DataFrame, prefix: str) -> int:
    """Prints answers as CSV.

    Args:
        frame: the answers.
        prefix: text before the names of their columns.

    Returns:
        The exit code.
    """
    console.out(frame.to_csv(index=False).rstrip("\n"))
    bad = int(frame[f"{prefix}error"].notna().sum())
    if bad:
        console.note(f"{bad:,} of {len(frame):,} rows have no answer; column {prefix}error says why")
    return BAD_ROWS if bad else DONE


def _read_input(shared: Mapping[str, Any]) -> Any:
    """The path of a local file, which is never a value; other inputs as one table."""
    from mammal.jobs.inputs import whole_input

    return whole_input(shared["input"], shared["encoding"], shared["file_column"])


def _ask(
    verb: str, model: Mammal, shared: dict[str, Any], prompt: dict[str, Any], options: dict[str, Any]
) -> pd.DataFrame:
    from mammal.tokenization.prompt import parse_prompt

    how: dict[str, Any] = {"columns": shared["columns"] or None} | {
        name: shared[name] for name in ("view", "encoding", "prefix")
    }
    data: Any = None if shared["input"] is None else _read_input(shared)
    if data is not None and not isinstance(data, Path):
        how["encoding"] = None
    if prompt.get("prompt") is not None:
        parse_prompt(prompt["prompt"])  # raises an error for other text, which would be taken for a value of the task
        data = [prompt["prompt"]]
    if verb == "predict":
        return model.predict(data, shared["task"], **how, **options)
    if verb == "explain":
        return model.explain(data, shared["task"], **how, **options)
    if verb == "generate":
        return model.generate(data, shared["task"], **how, **options)
    if data is None:
        raise ConfigError("nothing to score", where="mammal score", hint="input=FILE, or prompt= and target=")
    targets = None if prompt["target"] is None else [prompt["target"]]
    return model.score(data, targets, shared["task"], **how)

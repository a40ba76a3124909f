"""What predict, embed, generate and score have in common: a file of rows in, a file (or the terminal) out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.cli import BAD_ROWS, DONE
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain
from mammal.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from mammal.inference.api import Mammal
    from mammal.jobs import JobProgress, JobReport


def run(verb: str, argv: Sequence[str]) -> int:
    """Compose the verb's configuration and answer the rows; exit code 3 if some were set aside."""
    return run_verb(verb, argv, lambda config, config_dirs: answer(verb, plain(config), config_dirs))


def answer(verb: str, options: dict[str, Any], config_dirs: Sequence[Path] = ()) -> int:
    """Answers rows as a composed configuration says.

    Args:
        verb: predict, embed, generate or score.
        options: the configuration.
        config_dirs: folders of the user's own, where a task is found by name.

    Returns:
        The exit code.

    Raises:
        ConfigError: options that exclude each other.
    """
    shared = {name: options.pop(name) for name in SHARED}
    prompt: dict[str, Any] = {name: options.pop(name) for name in ("prompt", "target") if name in options}
    if prompt.get("prompt") is not None:
        for name in ("input", "output"):
            if shared[name] is not None:
                hint = "a prompt's answer goes to the terminal" if name == "output" else "keep one of them"
                raise ConfigError(f"both {name} and prompt are given", where=f"mammal {verb}", hint=hint)
    check_whole(verb, shared)
    if shared["output"] is None:
        return _to_terminal(verb, shared, prompt, options, config_dirs)
    return _to_file(verb, shared, options, config_dirs)


SHARED = (
    "bundle",
    "input",
    "output",
    "task",
    "columns",
    "view",
    "prefix",
    "tokenizer",
    "device",
    "dtype",
    "batch_tokens",
    "shard_rows",
    "workers",
    "resume",
)
"""Keys that are about the job, not about the question."""

OPENED = ("device", "dtype", "tokenizer", "batch_tokens")
"""Keys that say how a model is opened."""

WHOLE = ("batch_tokens", "shard_rows", "workers")


def check_whole(verb: str, options: Mapping[str, Any], names: Sequence[str] = WHOLE) -> None:
    """Refuses a count that is no whole number (ConfigError)."""
    for name in names:
        if options[name] is not None and type(options[name]) is not int:
            raise ConfigError(f"{name} must be a whole number, not {options[name]!r}", where=f"mammal {verb}")


def _to_file(verb: str, shared: dict[str, Any], options: dict[str, Any], config_dirs: Sequence[Path]) -> int:
    from mammal.jobs import run_job

    source, given, output = (shared.pop(name) for name in ("bundle", "input", "output"))
    shared["columns"] = shared["columns"] or None
    job = partial(run_job, verb, source, given, output, options=options, config_dirs=config_dirs, **shared)
    return follow_job(verb, job)


def follow_job(verb: str, job: Callable[..., JobReport]) -> int:
    """Runs a job (which takes `progress`) with a progress line, then tells what became of it; gives the exit code."""
    with console.Progress(verb) as progress:
        report = job(progress=_Follower(progress))
    kept = f", {report.resumed:,} of them from an earlier run" if report.resumed else ""
    console.note(f"{report.ok:,} rows in {report.output}{kept}")
    if report.bad:
        console.note(f"{report.bad:,} rows set aside with their reasons in {report.errors}")
    return report.exit_code


class _Follower:
    """Moves the progress line as a job reports."""

    def __init__(self, progress: console.Progress):
        self.progress = progress
        self._done = 0

    def __call__(self, now: JobProgress) -> None:
        new, self._done = now.done - self._done, now.done
        self.progress.total = now.rows
        self.progress.advance(new, rows=new, status=f"{now.bad:,} set aside" if now.bad else None)


def _to_terminal(
    verb: str, shared: dict[str, Any], prompt: dict[str, Any], options: dict[str, Any], config_dirs: Sequence[Path]
) -> int:
    from mammal.jobs.loaded_model import open_model

    if verb == "embed":
        raise ConfigError("embed needs an output", where="mammal embed", hint="output=vectors.parquet")
    model = open_model(shared["bundle"], config_dirs=config_dirs, **{name: shared[name] for name in OPENED})
    return print_frame(_ask(verb, model, shared, prompt, options), shared["prefix"])


def print_frame(frame: pd.DataFrame, prefix: str) -> int:
    """Answers as CSV on the terminal; gives the exit code."""
    console.out(frame.to_csv(index=False).rstrip("\n"))
    bad = int(frame[f"{prefix}error"].notna().sum())
    if bad:
        console.note(f"{bad:,} of {len(frame):,} rows have no answer; column {prefix}error says why")
    return BAD_ROWS if bad else DONE


def _ask(
    verb: str, model: Mammal, shared: dict[str, Any], prompt: dict[str, Any], options: dict[str, Any]
) -> pd.DataFrame:
    from mammal.tokenization.prompt import parse

    how = {"columns": shared["columns"] or None, "view": shared["view"], "prefix": shared["prefix"]}
    data: Any = None if shared["input"] is None else Path(shared["input"]).expanduser()  # never a value
    if prompt.get("prompt") is not None:
        parse(prompt["prompt"])  # refuses what is no prompt, before it is taken for a value of some task
        data = [prompt["prompt"]]
    if verb == "predict":
        return model.predict(data, shared["task"], **how, **options)
    if verb == "generate":
        return model.generate(data, shared["task"], **how, **options)
    if data is None:
        raise ConfigError("nothing to score", where="mammal score", hint="input=FILE, or prompt= and target=")
    targets = None if prompt["target"] is None else [prompt["target"]]
    return model.score(data, targets, shared["task"], **how)

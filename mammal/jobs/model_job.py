"""The job that answers every row of a file with a model: predict, embed, score, generate or explain."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.errors import ConfigError, did_you_mean
from mammal.generation.other_names import our_names
from mammal.generation.question import Generate
from mammal.generation.setting_types import plain_value
from mammal.inference.api import Mammal
from mammal.inference.from_names import predict_question
from mammal.inference.questions import Embed, Score
from mammal.inference.reranking import Reranked
from mammal.inference.reranking_task import judge_of
from mammal.inference.several_tasks import several_question, several_tasks, task_prefix
from mammal.jobs.engine import Follow, JobReport, run_plan
from mammal.jobs.inputs import Given, JobInput, check_encoding, no_input, open_input
from mammal.jobs.loaded_model import (
    bundle_hash,
    model_options,
    open_model,
    read_by_model,
    task_identity,
    torch_version,
)
from mammal.jobs.plan import SHARD_ROWS, Hash, JobPlan
from mammal.jobs.ray_settings import ray_settings_of
from mammal.jobs.sdf_format import SUFFIX as SDF
from mammal.jobs.structures import sdf_format
from mammal.jobs.tables import FORMATS, TEXT_TABLES, OutputFormat
from mammal.rows.answer_columns import column_meanings, column_units
from mammal.rows.applicability_columns import applicability_meanings
from mammal.rows.bare_prompts import PROMPT
from mammal.rows.question import TaskQuestion, Wrapped
from mammal.rows.standardised_columns import standardised_meanings
from mammal.rows.task_choice import TaskLike, entity_task
from mammal.tasks.declaration.generation_settings import SETTINGS

if TYPE_CHECKING:
    from mammal.tasks.task import Task

VERBS = {
    "predict": (
        *("vocabulary", "every_label", "names", "names_by", "name_warning"),
        *("applicability", "nearest", "standardised", "mc_dropout"),
    ),
    "embed": ("entity", "pooling", "normalize"),
    "score": (),
    "explain": (
        *("method", "target", "label", "baseline", "steps", "tolerance"),
        *("fragments", "window", "every_token", "long"),
    ),
    "generate": ("n", "conditions", "rerank", "rerank_bundle", "rerank_weight", *SETTINGS),
}
"""For each verb, the options that it takes. They are arguments of the method of `Mammal` with the same name."""

EXPLAINED_ROWS = 200
"""Rows of a shard of `explain`, which is much slower than the other verbs, so that little is lost if it is stopped."""


def run_job(
    verb: str,
    source: str | os.PathLike[str],
    input: Given | None,
    output: str | os.PathLike[str],
    *,
    task: TaskLike | Sequence[TaskLike] | None = None,
    columns: Mapping[str, str] | str | None = None,
    view: str | Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    encoding: str | None = None,
    file_column: str | None = None,
    prefix: str = "",
    shard_rows: int | None = None,
    keep_rows: bool | None = None,
    resume: bool = True,
    device: str = "auto",
    dtype: str = "auto",
    batch_tokens: int | None = None,
    workers: int | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    config_dirs: Sequence[str | Path] = (),
    progress: Follow | None = None,
    part: str | None = None,
    max_errors: float | None = None,
    engine: str = "local",
    ray: Mapping[str, Any] | None = None,
) -> JobReport:
    """Answers every row of a file, in constant memory. A job that was stopped continues where it stopped.

    Every row of the input that has an answer ends up in the output, in the same order, with its own columns and those
    of the answer. Every other row is written to an errors file next to the output and in its format
    (`predicted.errors.csv`), with its number and the reason; with `keep_rows` it is in the output, too. If a stopped
    job is run again with the same input, bundle and options on an equal machine, its output has the same bytes as that
    of a job that was not stopped. A complete job does nothing. No input is ever replaced, and an output that exists is
    replaced only once the new one is whole.

        run_job("predict", "demo/bundle", "molecules.csv", "predicted.csv", task="melting_point")

    Args:
        verb: `"predict"`, `"embed"`, `"score"`, `"generate"` or `"explain"`.
        source: the model, as for `mammal.load`.
        input: file with the rows; or a list of files, a pattern such as `lib/*.csv.gz`, or a folder, whose rows are
            read in the order of the files (`mammal.jobs.input_files`). Files can be remote (`s3://`, `gs://`,
            `https://`). None: for `generate`, with a task that reads nothing.
        output: file to write: `.parquet`, `.csv`, `.tsv`, `.jsonl`, or `.sdf` for molecules; a path that ends with `/`:
            a folder of Parquet parts, one for each shard. It can be a URL (`s3://`, `gs://`).
        task: as for `Mammal.predict`. If none is given, a file with a column `prompt` is read as prompts. Several tasks
            and `"all"` are for `predict`.
        columns: names of your columns, as `{column of the task: column of your table}`, or one name if the task reads
            one column.
        view: which form of a value the prompt shows if the task has several. Default: the first form that a row has.
        options: further arguments of the method of `Mammal` with the name of the verb, such as `{"n": 5}`. The default
            of `long` of `explain` is True for .csv and .tsv, which can't hold lists.
        encoding: encoding of the input, such as `latin-1`, if it is a text file. Default: UTF-8, or UTF-16 with a byte
            order mark.
        file_column: name of an added column with the name of the input file that a row comes from. Default: none.
        prefix: text before the names of the added columns.
        shard_rows: rows that are written together. Default: as many as give 10,000 output rows; 200 for `explain`.
        keep_rows: rows without an answer stay in the output, in their place, with empty answers and the reason in a
            column `error`. False: they are only in the errors file. Default: True for .csv and .tsv, else False.
        resume: continue an earlier job of the same output. False: start again; a finished output is replaced once the
            new one is whole.
        device: as for `mammal.load`.
        dtype: as for `mammal.load`.
        batch_tokens: tokens of a batch, padding not counted. Default: 8,192 on a CPU, 131,072 on a GPU.
        workers: processes that prepare rows for the model. Default: none on a CPU, up to eight for a GPU. `explain`
            uses none.
        tokenizer: as for `mammal.load`.
        config_dirs: as for `mammal.load`.
        progress: function that is called with a `JobProgress` after each batch.
        part: answer only a share of the shards, such as `"3/8"`, so that several processes or machines with a common
            folder answer one file at the same time. The last part that ends writes the output.
        max_errors: end when more rows than this have no answer. A number between 0 and 1 is a share of the rows
            answered so far, a whole number is a number of rows. It is compared after each shard. None: no limit.
        engine: `"local"`: this process answers. `"ray"`: actors of Ray answer, each with its own copy of the model, and
            this process reads and writes. The output has the same bytes.
        ray: settings of `engine="ray"`: `address`, `actors`, `gpus` and `cpus` (`mammal.jobs.ray_settings`).

    Returns:
        Number of rows with and without an answer, and the files that were written.

    Raises:
        JobError: the output exists and belongs to another job, is being written by another process, or can't be
            written; or the input was changed while it was read.
        TooManyErrorsError: more rows than `max_errors` have no answer. Finished shards are kept.
        ConfigError: there is no such verb, option or engine, or Ray is not installed; or the output, its errors file,
            manifest or folder of shards would replace the input or a file of the bundle.
        BundleError: there is no such model.
        TaskError: there is no such task.
        DataError: the input can't be read, or lacks a column; or there is no such encoding.
    """
    ray_settings = ray_settings_of(engine, ray)
    given_options = our_names(options or {}) if verb == "generate" else options or {}
    settings = {name: _plain(value) for name, value in given_options.items() if value is not None}
    if settings.get("normalize") is False:
        del settings["normalize"]  # as jobs of earlier versions recorded it
    usual_settings = {"applicability": True, "nearest": 0, "standardised": False, "mc_dropout": 0}
    for name, usual in usual_settings.items():
        if settings.get(name) == usual:
            del settings[name]
    _check_options(verb, settings, input)
    if verb == "explain":
        settings.setdefault("long", Path(output).suffix in TEXT_TABLES)
    check_encoding(encoding, input)
    if file_column is not None and input is None:
        raise ConfigError("file_column is for an input file, and there is none", hint="leave it out")
    given = None if input is None else open_input(input, encoding, file_column=file_column, output=output)
    made: dict[str, Any] = {"verb": verb, "source": source, "output": output, "settings": settings, "task": task}
    made |= {"columns": columns, "view": view, "prefix": prefix, "shard_rows": shard_rows, "keep_rows": keep_rows}
    made |= {"device": device, "dtype": dtype, "tokenizer": tokenizer, "config_dirs": config_dirs}
    made |= {"batch_tokens": batch_tokens, "workers": workers}
    run = partial(run_plan, resume=resume, progress=progress, part=part, max_errors=max_errors)
    if ray_settings is None:
        return run(model_plan(given=given, **made))
    from mammal.jobs.ray_model import answered_by_ray

    with answered_by_ray(ray_settings, model_plan, given, made) as (plan, answering):
        return run(plan, answering=answering)


def model_plan(
    verb: str,
    source: str | os.PathLike[str],
    given: JobInput | None,
    output: str | os.PathLike[str],
    settings: Mapping[str, Any],
    *,
    task: TaskLike | None = None,
    columns: Mapping[str, str] | str | None = None,
    view: str | Mapping[str, str] | None = None,
    prefix: str = "",
    shard_rows: int | None = None,
    keep_rows: bool | None = None,
    workers: int | None = None,
    batch_tokens: int | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    **opened: Any,
) -> JobPlan:
    """Opens the model and returns the plan of a job.

    Args:
        verb: as for `run_job`.
        source: as for `run_job`.
        given: the input. None: the job reads nothing.
        output: as for `run_job`.
        settings: the options of the verb, checked, as plain values.
        task: as for `run_job`.
        columns: as for `run_job`.
        view: as for `run_job`.
        prefix: as for `run_job`.
        shard_rows: as for `run_job`.
        keep_rows: as for `run_job`.
        workers: as for `run_job`.
        batch_tokens: as for `run_job`.
        tokenizer: as for `run_job`.
        **opened: `device`, `dtype` and `config_dirs`, as for `mammal.load`.

    Raises:
        MammalError: as for `run_job`.
    """
    model = open_model(source, batch_tokens=batch_tokens, tokenizer=tokenizer, **opened)
    reads_nothing, given = given is None, no_input(1) if given is None else given
    several = several_tasks(model, task, columns, view) if verb == "predict" else None
    if several is None:
        chosen = _task(verb, model, _one_task(verb, task), columns, view, settings, given)
        question = _question(verb, model, chosen, settings, prefix)
    else:
        chosen = None
        question = several_question(model.model, model.tasks, several, model.pace, prefix=prefix, **settings)
    question.reading = question.reading.with_mapping(chosen, columns)
    if reads_nothing:
        question, given = _drawn_apart(question, given)
    identity = task_identity(question.task) if several is None else [task_identity(one) for one in several]
    described = _described(verb, question, several, prefix)
    return JobPlan(
        verb,
        given,
        question,
        output,
        prefix=prefix,
        shard_rows=_shard_rows(verb, question) if shard_rows is None else shard_rows,
        options={**_recorded(verb, settings), **model_options(model), "task": identity},
        hashes=_hashes_of_options(settings),
        bundle=partial(bundle_hash, source),
        versions=torch_version() | _captum_version(question),
        meanings={name: text for task, at in described for name, text in _meanings(task, settings, at).items()},
        units={name: unit for task, at in described for name, unit in column_units(task, at).items()},
        workers=partial(_prepared_by, question, 0 if verb == "explain" else _workers(workers, model)),
        form=_form(verb, output, given, question),
        keep_rows=keep_rows,
        reads=read_by_model(bundle=source, rerank_bundle=settings.get("rerank_bundle"), tokenizer=tokenizer),
    )


def _form(verb: str, output: object, given: JobInput, question: TaskQuestion) -> OutputFormat | None:
    """Returns the format of an SDF output. None: a table."""
    if not str(output).endswith(SDF):
        return None
    if verb in ("generate", "explain"):
        raise ConfigError(f"{verb} writes no SDF file", where=str(output), hint=f"write {', '.join(FORMATS)}")
    reading = question.reading
    column = next((name for name, alphabet in reading.alphabets.items() if alphabet == "SMILES"), None)
    if column is not None:
        column = reading.check(given.schema.names).get(column, reading.mapped.get(column, column))
        column = column if column in given.schema.names else None
    return sdf_format(output, given, column)


def _meanings(task: Task, settings: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """What the values of the added columns are."""
    near = applicability_meanings(task, prefix) if settings.get("applicability", True) else {}
    read = standardised_meanings(task, prefix) if settings.get("standardised") else {}
    return column_meanings(task, prefix) | near | read


def _check_options(verb: str, settings: Mapping[str, Any], input: object) -> None:
    if verb not in VERBS:
        raise ConfigError(f"there is no job {verb!r}", hint=did_you_mean(verb, VERBS, noun="job"))
    for name in settings:
        if name not in VERBS[verb]:
            raise ConfigError(f"{verb} has no option {name!r}", hint=did_you_mean(name, VERBS[verb], noun="option"))
    if input is None and verb != "generate":
        raise ConfigError(f"{verb} needs an input")


def _plain(option: Any) -> Any:
    """Converts an option to plain values, which a manifest can hold."""
    if isinstance(option, Mapping):
        return {name: plain_value(value) for name, value in option.items()}
    return plain_value(option)


def _one_task(verb: str, task: TaskLike | Sequence[TaskLike] | None) -> TaskLike | None:
    """What a caller names as the only task.

    Raises:
        ConfigError: a list of tasks.
    """
    if task is None or isinstance(task, str) or not isinstance(task, Sequence):
        return task
    raise ConfigError(f"{verb} takes one task, not a list", where="task", hint="one run for each task")


def _described(
    verb: str, question: TaskQuestion, several: Sequence[Task] | None, prefix: str
) -> list[tuple[Task, str]]:
    """The tasks whose columns have meanings, each with the text before its columns."""
    if several is not None:
        return [(task, task_prefix(task, prefix)) for task in several]
    return [(question.task, prefix)] if verb == "predict" and question.task is not None else []


def _drawn_apart(question: TaskQuestion, given: JobInput) -> tuple[TaskQuestion, JobInput]:
    """Turns the samples for one empty row into one row per sample, so that any number is written in shards.

    Samples that have to differ from each other stay together.
    """
    if not isinstance(question, Generate) or not question.config.do_sample or question.rules.identity is not None:
        return question, given
    return question.one_by_one(), no_input(question.config.num_return_sequences)


def _shard_rows(verb: str, question: TaskQuestion) -> int:
    return EXPLAINED_ROWS if verb == "explain" else SHARD_ROWS // _records_of_a_row(question) or 1


def _recorded(verb: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options that the manifest records. `explain` records those that it uses, with their defaults, itself."""
    return {} if verb == "explain" else settings


def _captum_version(question: TaskQuestion) -> dict[str, str]:
    """The version of captum, if it computes the answers."""
    uses = question.recorded_options.get("method") == "integrated_gradients"
    return {"captum": version("captum")} if uses else {}


def _records_of_a_row(question: TaskQuestion) -> int:
    asked = question.inner if isinstance(question, Wrapped) else question
    return asked.sequences_of_row if isinstance(asked, Generate) else 1


def _task(
    verb: str,
    model: Mammal,
    task: TaskLike | None,
    columns: Mapping[str, str] | str | None,
    view: str | Mapping[str, str] | None,
    settings: Mapping[str, Any],
    given: JobInput,
) -> Task | None:
    """Returns the task that answers. None: the rows are prompts."""
    if verb == "embed" and "entity" in settings:
        chosen = entity_task(settings["entity"], model.tokenizer)
        return model.find_task(chosen, columns)
    if task is None and verb in ("generate", "score") and PROMPT in given.schema.names:
        return None
    return model.find_task(task, columns, view)


def _question(verb: str, model: Mammal, task: Task | None, settings: Mapping[str, Any], prefix: str) -> TaskQuestion:
    if verb == "score":
        return Score(model.model, model.tokenizer, task, model.pace, prefix=prefix)
    if verb == "generate":
        chosen = {name: value for name, value in settings.items() if name in SETTINGS}
        own = (model.model, model.tokenizer, task, model.pace)
        asked = Generate(
            *own, n=settings.get("n", 1), settings=chosen, conditions=settings.get("conditions"), prefix=prefix
        )
        judge = judge_of(model, *(settings.get(f"rerank{end}") for end in ("", "_bundle", "_weight")))
        return asked if judge is None else Reranked(asked, judge, prefix)
    assert task is not None, "only generate and score read prompts"
    if verb == "embed":
        how = {name: settings[name] for name in ("pooling", "normalize") if name in settings}
        return Embed(model.model, task, model.pace, prefix=prefix, **how)
    if verb == "explain":
        from mammal.explanation.question import Explain  # needs torch

        return Explain(model.model, task, model.pace, prefix=prefix, **settings)
    return predict_question(model.model, model.tasks, task, model.pace, prefix=prefix, **settings)


def _hashes_of_options(settings: Mapping[str, Any]) -> dict[str, Hash]:
    """Returns how to hash the bundle that re-ranks answers, because the manifest records its content."""
    judge = settings.get("rerank_bundle")
    return {} if judge is None else {"rerank_bundle": partial(bundle_hash, judge)}


def _workers(asked: int | None, model: Mammal) -> int:
    """Number of processes that prepare rows. The default on a CPU is 0, because the model uses every core there."""
    if asked is None:
        return min(8, (os.cpu_count() or 1) - 1) if model.device.type == "cuda" else 0
    if asked < 0:
        raise ConfigError(f"workers must be 0 or more, not {asked}")
    return asked


@contextmanager
def _prepared_by(question: TaskQuestion, workers: int) -> Iterator[None]:
    if not workers:
        yield
        return
    from mammal.rows.parallel_encoder import parallel_encoders

    with parallel_encoders(question.encoders, workers) as encoders:
        question.encoders = encoders
        yield

"""Evaluation from Python: the figures of `mammal evaluate bundle=…` as values.

import mammal
found = mammal.evaluate("demo/bundle", "melting_point")
found.figures["melting_point"]["test"]["MAMMAL"]["rmse"]     # value, low end and high end of the 95 % interval
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import upper_layers
from mammal.errors import ConfigError, TaskError, did_you_mean
from mammal.evaluation import results as files
from mammal.evaluation.evaluate_bundle import EvaluatedRows, evaluate_bundle
from mammal.evaluation.evaluate_task import SAMPLED, Depth
from mammal.evaluation.generated import SetOptions
from mammal.evaluation.input_files import input_files
from mammal.evaluation.output_folder import PAGE, check_output_folder
from mammal.evaluation.save import save_evaluation
from mammal.evaluation.tables import figures_frame, markdown
from mammal.inference.api import Mammal, load
from mammal.inference.reranking_task import judge_of
from mammal.rows.task_choice import TaskLike
from mammal.tasks.sources.kept import cache_folder

if TYPE_CHECKING:
    import pandas as pd

    from mammal.evaluation.results import TaskResult
    from mammal.evaluation.set_results import SetResult
    from mammal.inference.reranking_task import Judge
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

_PATHS = ("data", "cache")


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation of a model found.

    Attributes:
        results: one for each task, with its metrics, baselines, intervals and the answer to every row.
        sets: one for each set of generated molecules.
    """

    results: Sequence[TaskResult]
    sets: Sequence[SetResult] = ()

    @property
    def figures(self) -> dict[str, Any]:
        """The figures as a bundle's `metrics.json` holds them: task -> part -> model -> metric -> [value, low, high].

        The model is `MAMMAL` or the name of a baseline. `low` and `high` are the ends of the 95 % interval, NaN if
        there is none. Next to the models are the split, its hash, the number of rows, the best baseline on the
        validation rows and the settings of tuned baselines.
        """
        return files.as_metrics(self.results)

    @property
    def table(self) -> pd.DataFrame:
        """The figures as `evaluation.csv` holds them: one row for each task, model and metric."""
        return figures_frame(self.results)

    def __getitem__(self, task: str) -> TaskResult:
        """The result of a task.

        Raises:
            TaskError: the task was not evaluated.
        """
        for result in self.results:
            if result.task == task:
                return result
        names = [result.task for result in self.results]
        raise TaskError(f"task {task!r} was not evaluated", hint=did_you_mean(task, names, noun="task"))

    def __str__(self) -> str:
        return markdown(self.results)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Writes what `mammal evaluate` writes, next to results of other tasks and parts that the folder holds.

        Args:
            folder: for `evaluation.json`, `.md` and `.csv`, a table of answers for each task and, of sets of generated
                molecules, `samples.json`, `.csv` and a table of molecules for each.

        Returns:
            The path of `evaluation.json`.

        Raises:
            DataError: earlier results in the folder are damaged.
        """
        return save_evaluation(self.results, self.sets, Path(folder).expanduser()).results


def evaluate(
    bundle: str | os.PathLike[str] | Mammal,
    task: TaskLike | Sequence[TaskLike] | None = None,
    *,
    data: Any = None,
    encoding: str | None = None,
    part: str = "test",
    output: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    baselines: bool | str = True,
    trees: int = 500,
    seeds: int = 1,
    sensitivity: int = 200,
    neighbours: bool = True,
    generated: bool | None = None,
    generation: Mapping[str, Any] | None = None,
    rerank: TaskLike | None = None,
    rerank_bundle: str | os.PathLike[str] | Mammal | None = None,
    rerank_weight: float | None = None,
    draws: int = SAMPLED,
    reference_limit: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    tokenizer: str | os.PathLike[str] | Tokenizer | None = None,
    device: str = "auto",
    dtype: str = "auto",
    config_dirs: Sequence[str | Path] = (),
    paths: Mapping[str, str | os.PathLike[str] | None] | None = None,
) -> Evaluation:
    """Evaluates a model on held-out rows and compares it with inexpensive baselines, as `mammal evaluate bundle=…`.

    The arguments are the keys of the command, with the same defaults and the same figures.

    Args:
        bundle: a loaded model, or what `mammal.load` opens: a folder, a `.ckpt`, a shipped bundle or a hub id.
        task: one task or several: names, YAML files or declarations. None: every task of the bundle.
        data: labelled rows of your own that are evaluated instead of the task's held-out rows, as part `own`: a data
            frame, a list of mappings, or a file (the command's key `input`). Columns are named as in the task's
            template or its data file. Baselines and similarities still need the task's own training rows.
        encoding: encoding of `data`, such as "latin-1", if that is a text file; None: UTF-8, or UTF-16 with a byte
            order mark.
        part: of the task's own split: "test", "valid" or "train".
        output: folder for the files of `mammal evaluate` and the page `report.html`; results of other tasks and parts
            that it holds stay. None: nothing is written.
        limit: at most this many rows of each task, evenly spread; None: all.
        baselines: train baselines on the task's training rows, and evaluate them on the same rows as the model. Their
            settings, and the best of them, are chosen on the validation rows.
        trees: of each random forest.
        seeds: baselines are trained with the seeds 0 to `seeds` - 1.
        sensitivity: rows for which predictions on changed inputs are compared; 0: none.
        neighbours: compute the similarity of each row to its nearest training row.
        generated: evaluate generated molecules also as a set; None: for prompts that don't request a particular
            molecule.
        generation: keys that replace those of the task's `generation` section, such as `{"num_beams": 5}`.
        rerank: for generation: a task that reads the answers. They are evaluated a second time in the order that this
            task gives them.
        rerank_bundle: the model for that task, loaded or not; None: the evaluated model.
        rerank_weight: factor of the re-ranking log-likelihood, which is added to the log-likelihood of the answers;
            None: 1.
        draws: number of sequences that are sampled for a prompt that reads only conditions; no condition is given.
        reference_limit: for sets of molecules: at most this many of the evaluated rows, sampled; None: all.
        seed: random seed of everything that is sampled.
        workers: number of processes that read molecules; 0: this process; None: one for each core if there are many
            molecules.
        tokenizer: as for `mammal.load`; not for a loaded model.
        device: as for `mammal.load`; not for a loaded model.
        dtype: as for `mammal.load`; not for a loaded model.
        config_dirs: as for `mammal.load`; not for a loaded model.
        paths: `{"data": folder}`: local copies of data sets, by default the folder in `MAMMAL_DATA`; `{"cache":
            folder}`: summaries of reference sets, by default the folder in `MAMMAL_CACHE`. `{"cache": None}`: summaries
            are not kept.

    Returns:
        The figures: `.figures` as nested dictionaries, `.table` as a data frame, `.results` with everything.

    Raises:
        ConfigError: an argument has a value that can't be used, or two arguments exclude each other; or a file in
            `output` would be replaced that is read or that no evaluation wrote.
        TaskError: the task does not exist, or the model contains no task.
        BundleError: the model does not exist, or a part of it is missing or corrupt.
        DataError: the data can't be found or read, or a column is missing; or `output` holds damaged results.
    """
    copies, cache = _places(paths)
    if encoding is not None:
        _check_encoding(encoding, data)
    rows = EvaluatedRows(part, limit, data, copies, dict(generation or {}), encoding)
    sets = SetOptions(generated, reference_limit, workers, cache)
    depth = Depth(baselines, trees, seeds, sensitivity, neighbours, draws, seed)
    if output is not None:
        place = Path(output).expanduser()
        check_output_folder(place, {"input": data} if isinstance(data, str | os.PathLike) else {})
        files.earlier_results(place)  # damaged ones are reported before the work
    model = _opened(bundle, tokenizer=tokenizer, device=device, dtype=dtype, config_dirs=config_dirs)
    tasks = _tasks(model, task)
    if output is not None:
        check_output_folder(place, input_files({one.name: one.config for one in tasks}, copies))
    judge = _judge(judge_of(model, rerank, rerank_bundle, rerank_weight), tasks)
    from mammal.tasks.declaration.registry import searching

    with searching(model.config_dirs):
        found = Evaluation(*evaluate_bundle(model, tasks, rows=rows, depth=replace(depth, judge=judge), sets=sets))
    if output is not None:
        found.save(output)
        _write_page(Path(output).expanduser())
    return found


def _check_encoding(encoding: str, data: Any) -> None:
    """Checks the encoding before a model is opened.

    Raises:
        ConfigError: the data are not a file.
        DataError: there is no such encoding, or the format of the file has none to choose.
    """
    if not isinstance(data, str | os.PathLike):
        raise ConfigError("encoding is for a file of labelled rows, and there is none", hint="leave it out")
    from mammal.tasks.tables.encodings import checked_encoding
    from mammal.tasks.tables.readers import file_format

    checked_encoding(encoding, file_format(Path(data)), Path(data))


def _opened(bundle: str | os.PathLike[str] | Mammal, **how: Any) -> Mammal:
    """Loads the model if it is not loaded yet.

    Raises:
        ConfigError: it is loaded already, and an argument for loading is given.
    """
    if not isinstance(bundle, Mammal):
        return load(bundle, **how)
    given = [name for name, value in how.items() if value not in (None, "auto", ())]
    if given:
        what = f"{' and '.join(given)} can't be chosen for a model that is loaded already"
        raise ConfigError(
            what, where="mammal.evaluate", hint="give them to mammal.load, or pass the path of the bundle"
        )
    return bundle


def _tasks(model: Mammal, asked: TaskLike | Sequence[TaskLike] | None) -> list[Task]:
    """The tasks that are evaluated, without duplicates.

    Raises:
        TaskError: a task does not exist.
        ConfigError: there is no task to evaluate.
    """
    wanted: list[TaskLike]
    if asked is None:
        wanted = list(model.tasks)
    else:
        wanted = [asked] if isinstance(asked, str) or not isinstance(asked, Sequence) else list(asked)
    if not wanted:
        what = "this model comes without a task" if asked is None else "the list of tasks is empty"
        raise ConfigError(what, where="task", hint="task=NAME")
    return list({task.name: task for task in map(model.find_task, wanted)}.values())


def _judge(judge: Judge | None, tasks: Sequence[Task]) -> Judge | None:
    """The re-ranking task, if it reads the answers of any task that is evaluated.

    Raises:
        TaskError: it reads the answers of none of the tasks.
    """
    if judge is not None and not any(map(judge.fits, tasks)):
        judge.column_for(tasks[0])
    return judge


def _places(paths: Mapping[str, str | os.PathLike[str] | None] | None) -> tuple[dict[str, object] | None, Path | None]:
    """The folder of local copies, in the form that data sources expect, and the folder of kept summaries.

    Raises:
        ConfigError: a key does not exist.
    """
    given = dict(paths or {})
    for key in given:
        if key not in _PATHS:
            raise ConfigError(f"there is no key {key!r}", where="paths", hint=did_you_mean(key, _PATHS, noun="key"))
    cache = given.get("cache", cache_folder())
    return {"data": given["data"]} if given.get("data") else None, Path(cache) if cache else None


def _write_page(folder: Path) -> None:
    # The report is a layer above evaluation.
    upper_layers.write_report(upper_layers.report(folder), folder / PAGE)

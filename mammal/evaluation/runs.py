"""`mammal evaluate runs=…`: what several runs of the same tasks found, put together over their seeds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mammal import console
from mammal.errors import ConfigError, DataError
from mammal.evaluation.evaluate_bundle import EvaluatedRows, rows_of
from mammal.evaluation.evaluate_task import Depth, evaluate_task, judge_baselines

if TYPE_CHECKING:
    from mammal.evaluation.results import TaskResult
    from mammal.inference.api import Mammal

EVALUATION, BUNDLE = "evaluation", "bundle"


def run_folders(runs: str | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Folders of runs: a list of them, or a pattern such as `runs/sweeps/bbbp/*`, which leaves out what is no run.

    Raises:
        ConfigError: there are none, or one that is named holds neither a bundle nor an evaluation of its own.
    """
    if isinstance(runs, str):
        pattern = Path(runs)
        start, rest = (
            (Path(pattern.anchor), pattern.relative_to(pattern.anchor)) if pattern.anchor else (Path(), pattern)
        )
        folders = [folder for folder in sorted(start.glob(str(rest))) if _is_run(folder)]
    else:
        folders = list(map(Path, runs))
    if not folders:
        raise ConfigError(f"no run matches {runs}", where="runs", hint="runs=[runs/a,runs/b] or 'runs=runs/sweep/*'")
    for folder in folders:
        if not _is_run(folder):
            raise ConfigError("is no run: it holds neither a bundle nor an evaluation of its own", where=str(folder))
    return folders


def evaluate_runs(
    runs: str | Iterable[str | os.PathLike[str]],
    *,
    task: str | None = None,
    same_config: bool = True,
    rows: EvaluatedRows | None = None,
    depth: Depth | None = None,
    open_model: Callable[[Path], Mammal] | None = None,
) -> list[TaskResult]:
    """Combines several runs of the same tasks over their seeds; baselines are taken from the runs, or fitted once.

    Args:
        runs: folders of runs, or a pattern such as `runs/sweeps/bbbp/*`.
        task: one task; None: every task of any run.
        same_config: refuse runs whose configurations differ in more than the seed.
        rows: which rows are evaluated in runs that have no evaluation yet; None: all test rows.
        depth: what is done besides; None: our own predictions alone.
        open_model: opens the bundle at a path; None: on the device and in the number format of `mammal.load`.

    Returns:
        One result for each task.

    Raises:
        ConfigError: there is no such run, no run has the task, or runs differ in more than their seed.
        DataError: runs of one task were evaluated on different rows.
    """
    from mammal.evaluation.compare_runs import check_seeds_alone
    from mammal.evaluation.seeds import combine
    from mammal.inference.api import load

    if rows is not None and rows.own is not None:
        raise ConfigError("several runs are combined on their own rows alone", where="input", hint="leave it out")
    rows, depth, opened = rows or EvaluatedRows(), depth or Depth(), open_model or load
    folders = run_folders(runs)
    if same_config:
        check_seeds_alone(folders)
    found = {str(folder): _of_run(folder, task, rows, depth, opened) for folder in folders}
    every = list(dict.fromkeys(name for results in found.values() for name in results))
    names = [name for name in every if task in (None, name)]
    if not names:
        raise ConfigError(f"no run has a task {task!r}", where="task", hint=f"one of {', '.join(every)}")
    combined = []
    for name in names:
        of_task = {run: results[name] for run, results in found.items() if name in results}
        combine(of_task)  # refuses runs that don't belong together before baselines take their time
        if depth.baselines and not any(_has_baselines(result, depth.seeds) for result in of_task.values()):
            run = next(iter(of_task))
            of_task[run] = _with_baselines(Path(run), of_task[run], rows, depth, opened)
        combined.append(combine(of_task))
    return combined


def _of_run(
    folder: Path, task: str | None, rows: EvaluatedRows, depth: Depth, open_model: Callable[[Path], Mammal]
) -> dict[str, TaskResult]:
    """What a run found on these rows, by task; its bundle is evaluated if that was not done yet."""
    from mammal.evaluation import results

    kept = next((f for f in (folder / EVALUATION, folder) if (f / results.FILE).is_file()), None)
    if kept is not None and rows.limit is None:
        found = {result.task: result for result in results.load_results(kept) if result.part == rows.part}
        if found and task in (None, *found):
            return found
    console.note(f"evaluating {folder / BUNDLE}")
    model = open_model(folder / BUNDLE)
    ours = replace(depth, baselines=False)
    tasks = [model.find_task(name) for name in ([task] if task else model.tasks)]
    return {
        one.name: evaluate_task(model.model, rows_of(model, one, rows, ours), part=rows.part, depth=ours)
        for one in tasks
    }


def _has_baselines(result: TaskResult, seeds: int) -> bool:
    """Whether every baseline was fitted with so many seeds already."""
    return len(result.contenders) > 1 and all(len(c.by_seed) >= seeds for c in result.contenders[1:])


def _with_baselines(
    folder: Path, result: TaskResult, rows: EvaluatedRows, depth: Depth, open_model: Callable[[Path], Mammal]
) -> TaskResult:
    """The result with baselines fitted anew on the training rows of the run's own task."""
    from mammal.evaluation.answer_table import figure
    from mammal.evaluation.results import TARGET
    from mammal.evaluation.task_data import load_task_data

    task = open_model(folder / BUNDLE).find_task(result.task)
    data = load_task_data(task, rows.paths, {rows.part: rows.limit})
    if data.split.hash != result.split_hash:
        raise DataError(
            f"the data are split in another way now (hash {data.split.hash[:12]}) than when it was judged",
            where=str(folder),
            hint="baselines=false, or restore the data",
        )
    if (here := len(data.rows[rows.part])) != (then := result.rows[rows.part]):
        raise DataError(
            f"{then:,} rows were judged, and baselines would be judged on {here:,}",
            where=str(folder),
            hint="evaluate the runs anew without limit, or baselines=false",
        )
    judged, said = judge_baselines(data, rows.part, depth)
    answers = result.answers
    if TARGET not in answers:
        columns = {
            name: [figure(task, run[row], task.target_columns[0]) for row in answers["row"]]
            for name, run in said.items()
        }
        answers = answers.assign(**columns)
    return replace(result, contenders=[result.ours, *judged], answers=answers)


def _is_run(folder: Path) -> bool:
    """Whether a folder holds a bundle, or an evaluation that is not itself several runs put together."""
    from mammal.evaluation.results import FILE

    if (folder / BUNDLE).is_dir() or (folder / EVALUATION).is_dir():
        return True
    return (folder / FILE).is_file() and not _put_together(folder / FILE)


def _put_together(file: Path) -> bool:
    """Whether an `evaluation.json` is over seeds: by default that lies beside the runs, as `seeds/`."""
    try:
        return any(task.get("intervals") == "seeds" for task in json.loads(file.read_text(encoding="utf-8"))["tasks"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return False  # damaged: told, with its name, when it is read

"""`mammal evaluate runs=…`: combines the results of several runs of the same tasks over their seeds."""

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
    """Finds the folders of runs.

    Args:
        runs: a list of folders, or a pattern such as `runs/sweeps/bbbp/*`. Other folders that match the pattern are
            ignored.

    Raises:
        ConfigError: there are no runs, or a listed folder contains neither a bundle nor the evaluation of a single run.
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
            raise ConfigError("is not a run: it holds neither a bundle nor an evaluation of its own", where=str(folder))
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
    """Combines several runs of the same tasks over their seeds.

    Baselines are taken from the runs if they contain any, and are otherwise trained once.

    Args:
        runs: folders of runs, or a pattern such as `runs/sweeps/bbbp/*`.
        task: one task; None: every task of any run.
        same_config: refuse runs whose configurations differ in more than the seed.
        rows: which rows are evaluated in runs that have no evaluation yet; None: all test rows.
        depth: what else is evaluated; None: only the model's own predictions.
        open_model: opens the bundle at a path; None: on the device and in the number format of `mammal.load`.

    Returns:
        One result for each task.

    Raises:
        ConfigError: there are no runs, no run has the task, or runs differ in more than their seed.
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
        combine(of_task)  # refuses runs that can't be combined before baselines are trained, which takes time
        if depth.baselines and not any(_has_baselines(result, depth.seeds) for result in of_task.values()):
            run = next(iter(of_task))
            of_task[run] = _with_baselines(Path(run), of_task[run], rows, depth, opened)
        combined.append(combine(of_task))
    return combined


def _of_run(
    folder: Path, task: str | None, rows: EvaluatedRows, depth: Depth, open_model: Callable[[Path], Mammal]
) -> dict[str, TaskResult]:
    """The results of a run on these rows, by task; its bundle is evaluated if that was not done yet."""
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
    """Whether every baseline was already fitted with this many seeds."""
    return len(result.contenders) > 1 and all(len(c.by_seed) >= seeds for c in result.contenders[1:])


def _with_baselines(
    folder: Path, result: TaskResult, rows: EvaluatedRows, depth: Depth, open_model: Callable[[Path], Mammal]
) -> TaskResult:
    """Adds baselines to the result; they are trained on the training rows of the run's own task."""
    from mammal.evaluation.answer_table import plotted_value
    from mammal.evaluation.results import TARGET
    from mammal.evaluation.task_data import load_task_data

    task = open_model(folder / BUNDLE).find_task(result.task)
    data = load_task_data(task, rows.paths, {rows.part: rows.limit})
    if data.split.hash != result.split_hash:
        raise DataError(
            f"the data are now split differently (hash {data.split.hash[:12]}) than when the run was evaluated",
            where=str(folder),
            hint="baselines=false, or restore the data",
        )
    if (here := len(data.rows[rows.part])) != (then := result.rows[rows.part]):
        raise DataError(
            f"{then:,} rows were evaluated, and baselines would be evaluated on {here:,}",
            where=str(folder),
            hint="evaluate the runs again without limit, or set baselines=false",
        )
    judged, said = judge_baselines(data, rows.part, depth)
    answers = result.answers
    if TARGET not in answers:
        shown = data.row_numbers(rows.part) if result.row_numbers else range(len(data.rows[rows.part]))
        places = {number: place for place, number in enumerate(shown)}
        columns = {
            name: [plotted_value(task, run[places[row]], task.target_columns[0]) for row in answers["row"]]
            for name, run in said.items()
        }
        answers = answers.assign(**columns)
    return replace(result, contenders=[result.ours, *judged], answers=answers)


def _is_run(folder: Path) -> bool:
    """Whether a folder contains a bundle, or the evaluation of a single run."""
    from mammal.evaluation.results import FILE

    if (folder / BUNDLE).is_dir() or (folder / EVALUATION).is_dir():
        return True
    return (folder / FILE).is_file() and not _put_together(folder / FILE)


def _put_together(file: Path) -> bool:
    """Whether an `evaluation.json` combines runs over seeds. By default it is in `seeds/`, next to the runs."""
    try:
        return any(task.get("intervals") == "seeds" for task in json.loads(file.read_text(encoding="utf-8"))["tasks"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return False  # a damaged file is reported, with its name, when it is read

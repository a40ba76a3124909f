"""The section of a report that compares the run with other runs of the same tasks, and with the best baseline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.bundle.card import TRAINING
from mammal.bundle.locate import METRICS
from mammal.errors import DataError
from mammal.evaluation import results
from mammal.evaluation.compare_runs import CONFIG, read_config
from mammal.evaluation.results import Contender, TaskResult, readable_name
from mammal.report import plots
from mammal.report.page import Cell, Section, figure, figures, heading, html_table, joined, paragraph, with_detail
from mammal.report.task_section import estimate_cell
from mammal.report.words import metric_name
from mammal.tasks.metrics.registry import metric_named

if TYPE_CHECKING:
    from markupsafe import Markup

EVALUATION, BUNDLE = "evaluation", "bundle"
NOTHING = "nothing"
"""What a run without `init` starts from."""


@dataclass(frozen=True)
class ComparedRun:
    """An evaluated run.

    Attributes:
        name: how figures and tables name it.
        start: what its weights started from: the value of `init`, or `nothing`; "" if it is not recorded.
        trained: how it was trained: steps and time, or that a probe was fitted; "" if it is not recorded.
        evaluated: the results of its tasks.
    """

    name: str
    start: str
    trained: str
    evaluated: Sequence[TaskResult]

    @property
    def detail(self) -> str:
        """What the name leaves out: the start, unless it is the name, and how the run was trained."""
        start = f"from {self.start}" if self.start else ""
        return "; ".join(filter(None, ["" if start == self.name else start, self.trained]))


def evaluation_folder(run: Path) -> Path | None:
    """Returns the folder with the results of an evaluation.

    Args:
        run: folder of a training run or of an evaluation.

    Returns:
        The folder; None if the run was not evaluated.
    """
    return next((folder for folder in (run / EVALUATION, run) if (folder / results.FILE).is_file()), None)


def runs_section(folders: Sequence[Path]) -> Section:
    """Returns a section with a figure and a table for each task that all runs have.

    Args:
        folders: folders of the runs. The first is the run of the report; its evaluation has the baselines.

    Raises:
        DataError: a run was not evaluated, or has no task in common with the first, on the same held-out rows.
    """
    runs = _named([_read_run(folder) for folder in folders], folders)
    first, others = runs[0], runs[1:]
    parts = [paragraph(_LEAD), paragraph(_NOTE, note=True)]
    drawn: list[Markup] = []
    tables: list[Markup] = []
    for result in first.evaluated:
        same = [(run, found) for run in others if (found := _same_rows(result, run.evaluated)) is not None]
        if same:
            rows = [(first, result.ours), *((run, found.ours) for run, found in same)]
            drawn.append(_figure(result, rows))
            tables += [heading(result.title), _table(result, rows)]
    for run, folder in zip(others, folders[1:], strict=True):
        if not any(_same_rows(result, run.evaluated) for result in first.evaluated):
            hint = f"evaluate both runs on the same part of the same task, and on the split of {folders[0]}"
            raise DataError(f"has no evaluated rows in common with {folders[0]}", where=str(folder), hint=hint)
    return Section("Compared runs", joined([*parts, figures(drawn), *tables]))


_LEAD = "Models of several runs, and the best baseline, on the same held-out rows."
_NOTE = (
    "`from`: weights before training; `nothing`: random weights. The best baseline is chosen on the validation rows."
)


def _read_run(folder: Path) -> ComparedRun:
    found = evaluation_folder(folder)
    if found is None:
        hint = f"mammal evaluate bundle={folder / BUNDLE} evaluates it"
        raise DataError("contains no evaluation to compare", where=str(folder), hint=hint)
    config = read_config(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    start = str(config.get("init") or NOTHING) if config else ""
    return ComparedRun(folder.name, start, _trained(folder, config), results.load_results(found))


def _trained(folder: Path, config: dict[str, Any]) -> str:
    if config.get("adapt.method") == "probe":
        return "probe on frozen states"
    file = folder / BUNDLE / METRICS
    facts = json.loads(file.read_text(encoding="utf-8")).get(TRAINING) if file.is_file() else None
    return f"{facts['steps']:,} steps in {console.clock(facts['seconds'])}" if facts else ""


def _named(runs: Sequence[ComparedRun], folders: Sequence[Path]) -> list[ComparedRun]:
    """Runs with the name by which they differ: what they start from, else their folder."""
    starts = [f"from {run.start}" for run in runs if run.start]
    names = starts if len(set(starts)) == len(runs) else [folder.name for folder in folders]
    names = names if len(set(names)) == len(runs) else [str(folder) for folder in folders]
    return [ComparedRun(name, r.start, r.trained, r.evaluated) for name, r in zip(names, runs, strict=True)]


def _same_rows(result: TaskResult, others: Sequence[TaskResult]) -> TaskResult | None:
    """The result of the same rows of the same task; None if there is none."""
    same = (result.task, result.part, result.split_hash)
    return next((other for other in others if (other.task, other.part, other.split_hash) == same), None)


def _figure(result: TaskResult, rows: Sequence[tuple[ComparedRun, Contender]]) -> Markup:
    metric = result.metrics[0]
    known = [(run.name, contender) for run, contender in rows]
    known += [(readable_name(bar.name), bar)] if (bar := result.bar) else []
    points = {
        name: (estimate.value, estimate.low, estimate.high)
        for name, contender in known
        if (estimate := contender.estimates.get(metric)) and not isnan(estimate.value)
    }
    better = "higher" if metric_named(metric).higher_is_better else "lower"
    caption = f"{result.rows[result.part]:,} {result.part} rows; {better} is better. Bars: 95 % confidence intervals."
    return figure(plots.forest(result.title, points, metric_name(metric, result.unit)), caption)


def _table(result: TaskResult, rows: Sequence[tuple[ComparedRun, Contender]]) -> Markup:
    header = ["model", *(metric_name(m, result.unit) for m in result.metrics)]
    lines: list[list[Cell]] = [[with_detail(run.name, run.detail), *_cells(result, found)] for run, found in rows]
    if bar := result.bar:
        detail = "; ".join(filter(None, ["the best baseline", bar.note]))
        lines.append([with_detail(readable_name(bar.name), detail), *_cells(result, bar)])
    return html_table(header, lines, kinds=["", *["number"] * len(result.metrics)], first_is_ours=True)


def _cells(result: TaskResult, contender: Contender) -> list[Cell]:
    return [estimate_cell(contender.estimates.get(metric)) for metric in result.metrics]

"""The results of a sweep: a record of every job, one table of all jobs, and means over seeds.

Each job writes `job.json` into its own folder. The table therefore works with every launcher and needs only a file
system that the jobs share. `sweep.csv` has one line for each job, `seeds.csv` one line for each setting that was run
with several seeds.
"""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.errors import JobError
from mammal.evaluation.results import Estimate, short
from mammal.tasks.tables.atomic import atomic_file

if TYPE_CHECKING:
    from mammal.training.run import TrainingResult

RECORD, TABLE, SEEDS = "job.json", "sweep.csv", "seeds.csv"
RUNNING, DONE, FAILED = "running", "done", "failed"

SEARCHED = "optimization_results.yaml"
"""File that Optuna's sweeper writes into the folder of the sweep."""

HINT = "the same command with output=FOLDER resume=auto does not run finished jobs again"


@dataclass(frozen=True)
class JobRecord:
    """One job of a sweep.

    Attributes:
        number: its number in the sweep, which is also the name of its folder.
        overrides: `key=value` words from which its configuration was composed.
        status: `RUNNING` (also for a job that was killed), `DONE` or `FAILED`.
        seconds: duration of the job.
        objective: the figure that `monitor` names, which a search improves.
        figures: values of `valid/loss`, `valid/TASK/METRIC` and `test/TASK/METRIC`.
        bounds: 95 % intervals (low, high) of figures that have one.
        error: why it failed.
    """

    number: int
    overrides: list[str]
    status: str = RUNNING
    seconds: float = 0.0
    objective: float | None = None
    figures: dict[str, float | None] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    error: str = ""

    def __str__(self) -> str:
        return f"job {self.number} ({' '.join(self.overrides)})"

    def write(self, folder: Path) -> None:
        with atomic_file(folder / RECORD) as file:
            file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @property
    def settings(self) -> dict[str, str]:
        """Its overrides by key. A key that was removed (`~key`) has an empty value."""
        return {key: value for key, _, value in (word.partition("=") for word in self.overrides)}


def read_record(folder: Path) -> JobRecord | None:
    """Reads the record of a job.

    Args:
        folder: folder of the job.

    Returns:
        The record. None: there is none, or it can't be read.
    """
    try:
        return JobRecord(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def figures_of(result: TrainingResult) -> tuple[dict[str, float | None], dict[str, tuple[float, float]]]:
    """Returns the figures of a run by name, and the intervals of those that have one. NaN becomes None.

    Args:
        result: result of the run.
    """
    named: dict[str, float | None] = {"valid/loss": result.best_loss, **result.valid}
    bounds = {}
    for task in result.results:
        for metric, estimate in task.ours.estimates.items():
            name = f"{task.part}/{task.task}/{metric}"
            named[name] = estimate.value
            if not math.isnan(estimate.low):
                bounds[name] = (estimate.low, estimate.high)
    return {name: value if _known(value) else None for name, value in named.items()}, bounds


def summarise_sweep(folder: Path | None) -> None:
    """Prints the table of a sweep's jobs and writes it to `sweep.csv` (and `seeds.csv`) in its folder.

    Args:
        folder: folder of the sweep. Nothing is done if it is None, or if no job has started.

    Raises:
        JobError: a job failed or did not end. The message contains every such job.
    """
    if folder is None:
        return
    found = sorted(filter(None, map(read_record, folder.glob("*/"))), key=lambda record: record.number)
    if not found:
        return
    varied = _varied(found)
    figures = list(dict.fromkeys(name for record in found for name in record.figures))
    _write(folder / TABLE, [_line(record, figures) for record in found])
    console.table([_cells(record, varied) for record in found], ("job", *varied, "valid loss", "valid", "test", "time"))
    if lines := _over_seeds(found, varied, figures):
        _write(folder / SEEDS, lines)
        console.out()
        others = [key for key in varied if key != "seed"]
        console.table([_seed_cells(line, others) for line in lines], (*others, "seeds", "valid", "test"))
    console.note(f"{len(found)} jobs, table in {folder / TABLE}")
    if (best := folder / SEARCHED).is_file():
        console.note(f"best: {_best(best)}")
    if lost := [record for record in found if record.status != DONE]:
        for record in lost:
            console.note(f"job {record.number}: {record.error or 'did not end'}")
        named = ", ".join(f"job {record.number} ({_words(record, varied)})" for record in lost)
        raise JobError(f"{len(lost)} of {len(found)} jobs failed: {named}", where=str(folder), hint=HINT)


def _varied(records: Sequence[JobRecord]) -> list[str]:
    """Returns the keys whose values differ between jobs."""
    keys = dict.fromkeys(key for record in records for key in record.settings)
    return [key for key in keys if len({record.settings.get(key) for record in records}) > 1]


def _words(record: JobRecord, keys: Iterable[str]) -> str:
    return " ".join(f"{key}={record.settings[key]}" for key in keys if key in record.settings) or "the only one"


def _line(record: JobRecord, figures: Sequence[str]) -> dict[str, Any]:
    """Returns the line of `sweep.csv` for a job."""
    line: dict[str, Any] = {"job": record.number, "status": record.status, **record.settings}
    line |= {"error": record.error, "seconds": round(record.seconds, 1), "objective": record.objective}
    for name in figures:
        line[name] = record.figures.get(name)
        if name in record.bounds:
            line[f"{name}_low"], line[f"{name}_high"] = record.bounds[name]
    return line


def _cells(record: JobRecord, varied: Sequence[str]) -> list[str]:
    """Returns the line of the printed table for a job."""
    settings = [record.settings.get(key, "") for key in varied]
    if record.status != DONE:
        return [str(record.number), *settings, record.status, "", "", console.clock(record.seconds)]
    loss = record.figures.get("valid/loss")
    return [
        str(record.number),
        *settings,
        "–" if loss is None else short(loss),
        _main_figures(record, "valid"),
        _main_figures(record, "test"),
        console.clock(record.seconds),
    ]


def _main_figures(record: JobRecord, part: str) -> str:
    figures = []
    for words, name in _first_of_each_task(record.figures, part):
        value = record.figures[name]
        estimate = Estimate(math.nan if value is None else value, *record.bounds.get(name, (math.nan, math.nan)))
        figures.append(f"{words} {estimate}")
    return ", ".join(figures)


def _first_of_each_task(names: Iterable[str], part: str) -> list[tuple[str, str]]:
    """Returns the first metric of each task, as words and as its full name. The words name the task if several."""
    firsts: dict[str, str] = {}
    for name in names:
        if name.startswith(f"{part}/") and name.count("/") >= 2:
            firsts.setdefault(name.split("/")[1], name)
    alone = len(firsts) == 1
    return [(" ".join(name.split("/", 2)[2 if alone else 1 :]), name) for name in firsts.values()]


def _over_seeds(records: Sequence[JobRecord], varied: Sequence[str], figures: Sequence[str]) -> list[dict[str, Any]]:
    """Returns mean and sample standard deviation (n - 1) of every figure over the seeds of each setting."""
    if "seed" not in varied:
        return []
    others = [key for key in varied if key != "seed"]
    groups: dict[tuple[str, ...], list[JobRecord]] = {}
    for record in records:
        if record.status == DONE:
            groups.setdefault(tuple(record.settings.get(key, "") for key in others), []).append(record)
    lines = []
    for setting, jobs in groups.items():
        line: dict[str, Any] = {**dict(zip(others, setting, strict=True)), "seeds": len(jobs)}
        for name in figures:
            values = [value for job in jobs if (value := job.figures.get(name)) is not None]
            if len(values) > 1:
                line[f"{name}_mean"], line[f"{name}_sd"] = statistics.mean(values), statistics.stdev(values)
        lines.append(line)
    return lines if any(line["seeds"] > 1 for line in lines) else []


def _seed_cells(line: Mapping[str, Any], others: Sequence[str]) -> list[str]:
    """Returns the line of the second printed table for a setting."""
    names = [key.removesuffix("_mean") for key in line if key.endswith("_mean")]
    cells = [str(line[key]) for key in (*others, "seeds")]
    for part in ("valid", "test"):
        firsts = _first_of_each_task(names, part)
        figures = [f"{words} {short(line[f'{name}_mean'])} ± {short(line[f'{name}_sd'])}" for words, name in firsts]
        cells.append(", ".join(figures))
    return cells


def _best(file: Path) -> str:
    """Returns the best settings of a search and their figure."""
    import yaml

    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    settings = " ".join(f"{key}={value}" for key, value in found["best_params"].items())
    return f"{settings}, {short(found['best_value'])}"


def _write(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for line in lines for name in line))
    with atomic_file(file) as partial, partial.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns)
        writer.writeheader()
        writer.writerows(lines)


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)

"""What an evaluation found, and how it is kept: `evaluation.json` and one table of answers per task."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

OURS = "MAMMAL"
"""Name of our own column among the contenders of a task."""

FILE = "evaluation.json"


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % interval; NaN bounds where it has none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.low) or math.isnan(self.high):
            return "–" if math.isnan(self.value) else short(self.value)
        return f"{short(self.value)} ({short(self.low)} to {short(self.high)})"


@dataclass(frozen=True)
class Contender:
    """A model, or a cheap baseline, and its metrics on the held-out rows."""

    name: str
    estimates: Mapping[str, Estimate]
    seconds: float = 0.0


@dataclass(frozen=True)
class TaskResult:
    """One task: every contender on the same split.

    Attributes:
        task, about, kind, unit, labels: as the task declares them.
        part, split, split_hash: which rows were held out, how, and the hash that names exactly these rows.
        rows: how many rows each part has, and how many of the held-out ones got an answer.
        metrics: names in the order of the task's declaration; the first is the one to look at.
        contenders: ours first.
        answers: one row each held-out row: `row`, the columns that the prompt reads, `truth`, a column of scores for
            each contender (value, or probability of the last of two labels); `low`, `high` where there are intervals.
        not_answered: rows without an answer and why: `row`, `reason`.
    """

    task: str
    about: str
    kind: str
    part: str
    split: str
    split_hash: str
    rows: Mapping[str, int]
    metrics: Sequence[str]
    contenders: Sequence[Contender]
    answers: pd.DataFrame = field(repr=False)
    not_answered: Sequence[tuple[object, str]] = ()
    unit: str = ""
    labels: Sequence[str] = ()

    @property
    def ours(self) -> Contender:
        return self.contenders[0]


def save_results(results: Sequence[TaskResult], folder: Path) -> Path:
    """Write `evaluation.json` and `answers_TASK.csv` into `folder`; returns the former."""
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        result.answers.to_csv(_answers(folder, result.task), index=False)
    file = folder / FILE
    file.write_text(json.dumps({"tasks": [_plain(result) for result in results]}, indent=2) + "\n", encoding="utf-8")
    return file


def load_results(folder: Path) -> list[TaskResult]:
    """The results that `save_results` wrote.

    Raises:
        DataError: there are none, or they are damaged.
    """
    import pandas as pd

    try:
        declared = json.loads((folder / FILE).read_text(encoding="utf-8"))["tasks"]
        return [_from_plain(task, pd.read_csv(_answers(folder, task["task"]))) for task in declared]
    except FileNotFoundError as error:
        raise DataError("no evaluation here", where=str(error.filename), hint="mammal evaluate writes one") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"not an evaluation: {error}", where=str(folder / FILE)) from error


def as_metrics(results: Sequence[TaskResult]) -> dict[str, Any]:
    """The figures as a bundle keeps them in `metrics.json`: task -> part -> split and each contender's estimates."""
    return {
        result.task: {
            result.part: {
                "split": result.split,
                "split_hash": result.split_hash,
                "rows": result.rows[result.part],
                "unit": result.unit or None,
                **{
                    contender.name: {name: [e.value, e.low, e.high] for name, e in contender.estimates.items()}
                    for contender in result.contenders
                },
            }
        }
        for result in results
    }


def spoken(name: str) -> str:
    """A contender's name as a reader would say it."""
    if name.startswith(ONLY):
        return f"random forest, {name.removeprefix(ONLY)} alone"
    return _SPOKEN.get(name, name)


ONLY = "forest_only_"
_SPOKEN = {
    "mean": "labels of train alone",
    "forest_morgan": "random forest, Morgan",
    "forest_descriptors": "random forest, descriptors",
    "forest_kmers": "random forest, k-mers",
    "forest_words": "random forest, names",
    "forest_all": "random forest, all columns",
    "linear_kmers": "linear model, k-mers",
    "linear_esm2": "linear model, frozen ESM-2",
}


def short(value: float) -> str:
    """Three significant digits, and no exponent where a reader wouldn't want one."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:#.3g}".rstrip(".")


def _answers(folder: Path, task: str) -> Path:
    return folder / f"answers_{task}.csv"


def _plain(result: TaskResult) -> dict[str, Any]:
    kept = {name: value for name, value in vars(result).items() if name not in ("answers", "contenders")}
    return kept | {"contenders": [_plain_contender(contender) for contender in result.contenders]}


def _plain_contender(contender: Contender) -> dict[str, Any]:
    """NaN, which JSON lacks, as null."""
    estimates = {
        name: {part: None if isnan(value) else value for part, value in asdict(estimate).items()}
        for name, estimate in contender.estimates.items()
    }
    return {"name": contender.name, "estimates": estimates, "seconds": contender.seconds}


def _from_plain(declared: Mapping[str, Any], answers: pd.DataFrame) -> TaskResult:
    contenders = [
        Contender(c["name"], {name: _estimate(e) for name, e in c["estimates"].items()}, c["seconds"])
        for c in declared["contenders"]
    ]
    rest = {name: value for name, value in declared.items() if name not in ("contenders", "not_answered")}
    not_answered = [(row, reason) for row, reason in declared["not_answered"]]
    return TaskResult(**rest, contenders=contenders, not_answered=not_answered, answers=answers)


def _estimate(parts: Mapping[str, float | None]) -> Estimate:
    return Estimate(**{part: nan if value is None else value for part, value in parts.items()})

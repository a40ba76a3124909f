"""What an evaluation found, and how it is kept: `evaluation.json` and one table of answers per task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.errors import DataError
from mammal.evaluation.reliability import Reliability
from mammal.tasks.tables.atomic import atomic_file

if TYPE_CHECKING:
    import pandas as pd

OURS = "MAMMAL"
"""Name of our own column among the contenders of a task."""

FILE = "evaluation.json"

TARGET = "target_column"
"""Column of the answers of a task with several targets; `target` is what many files call their protein."""


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % interval; NaN bounds where it has none.

    Attributes:
        value: of one run, or the mean over seeds.
        sd: standard deviation over seeds (n - 1); NaN for one run.
    """

    value: float
    low: float
    high: float
    sd: float = nan

    def __str__(self) -> str:
        if isnan(self.value):
            return "–"
        decimals = len(short(self.value).partition(".")[2])
        spread = "" if isnan(self.sd) else f" ± {self.sd:.{decimals}f}"
        bounds = "" if isnan(self.low) or isnan(self.high) else f" ({short(self.low)} to {short(self.high)})"
        return short(self.value) + spread + bounds


@dataclass(frozen=True)
class Contender:
    """A model, or a cheap baseline, and its metrics on the held-out rows.

    Attributes:
        by_seed: seed, or run -> each metric's value, where there were several.
    """

    name: str
    estimates: Mapping[str, Estimate]
    seconds: float = 0.0
    by_seed: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Shift:
    """How far predictions move when the same input is written in another way (`mammal.tasks.perturbations`).

    Attributes:
        change: what was done.
        rows: rows it was tried on.
        changed: rows it changed anything of; the figures below are over these.
        read_differently: those that the model sees another prompt of: standardisation may undo a change.
        moved: mean absolute change of the value in its unit, or of the class probabilities (total variation).
        furthest: the largest.
        flipped: classification: share of labels that became another.
        refused: changed rows that got no answer.
    """

    change: str
    rows: int
    changed: int
    read_differently: int
    moved: float = nan
    furthest: float = nan
    flipped: float = nan
    refused: int = 0


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
        reliability: classification: how far our probabilities can be believed, by target column.
        coverage: regression: share of the truths that lie within our prediction intervals, by target column.
        shifts: how far our predictions move under changes that should not move them.
        intervals: what the intervals are over: `rows` (bootstrap) or `seeds` (Student's t).
        leakage: rows of test and valid that train holds too (`mammal.tasks.splits.leakage`).
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
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    coverage: Mapping[str, float] = field(default_factory=dict)
    shifts: Sequence[Shift] = ()
    intervals: str = "rows"
    leakage: Mapping[str, int] = field(default_factory=dict)

    @property
    def ours(self) -> Contender:
        return self.contenders[0]

    @property
    def title(self) -> str:
        """The task as a heading says it, with the part where that is not test."""
        return self.task.replace("_", " ") + ("" if self.part == "test" else f", {self.part} rows")


def save_results(results: Sequence[TaskResult], folder: Path) -> Path:
    """Write `evaluation.json` and a table of answers for each result into `folder`; returns the former.

    What is in the folder and not among `results` is no longer listed: `with_earlier` keeps it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        result.answers.to_csv(folder / _answers(result), index=False)
    file = folder / FILE
    with atomic_file(file) as partial:
        told = {"tasks": [_plain(result) for result in results]}
        partial.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return file


def earlier_results(folder: Path) -> list[TaskResult]:
    """The results that lie in a folder; none where it holds no evaluation.

    Raises:
        DataError: they are damaged.
    """
    return load_results(folder) if (folder / FILE).is_file() else []


def with_earlier(results: Sequence[TaskResult], earlier: Sequence[TaskResult]) -> list[TaskResult]:
    """Both, earlier ones first; of a task and part that both judged, the new result alone, in the place of the old."""
    by_rows = {(result.task, result.part): result for result in (*earlier, *results)}
    return list(by_rows.values())


def load_results(folder: Path) -> list[TaskResult]:
    """The results that `save_results` wrote.

    Raises:
        DataError: there are none, or they are damaged.
    """
    try:
        declared = json.loads((folder / FILE).read_text(encoding="utf-8"))["tasks"]
        return [_from_plain(task, folder) for task in declared]
    except FileNotFoundError as error:
        raise DataError("no evaluation here", where=str(error.filename), hint="mammal evaluate writes one") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"not an evaluation: {error}", where=str(folder / FILE)) from error


def as_metrics(results: Sequence[TaskResult]) -> dict[str, Any]:
    """The figures as a bundle keeps them in `metrics.json`: task -> part -> split and each contender's estimates."""
    figures: dict[str, Any] = {}
    for result in results:
        figures.setdefault(result.task, {})[result.part] = {
            "split": result.split,
            "split_hash": result.split_hash,
            "rows": result.rows[result.part],
            "unit": result.unit or None,
            "leaking_rows": result.leakage.get(result.part),
            **{
                contender.name: {name: [e.value, e.low, e.high] for name, e in contender.estimates.items()}
                for contender in result.contenders
            },
        }
    return figures


def spoken(name: str) -> str:
    """A contender's name as a reader would say it."""
    if name.startswith(ONLY):
        return f"random forest, {name.removeprefix(ONLY)} alone"
    return _SPOKEN.get(name, name)


ONLY = "forest_only_"
_SPOKEN = {
    "mean": "labels of train alone",
    "nearest": "answer of the nearest training row",
    "forest_morgan": "random forest, Morgan",
    "forest_descriptors": "random forest, descriptors",
    "forest_kmers": "random forest, k-mers",
    "forest_words": "random forest, names",
    "forest_all": "random forest, all columns",
    "forest_variant": "random forest, what the variant changes",
    "linear_kmers": "linear model, k-mers",
    "linear_variant": "linear model, what the variant changes",
    "linear_esm2": "linear model, frozen ESM-2",
}


def short(value: float) -> str:
    """Three significant digits, and no exponent where a reader wouldn't want one."""
    value = 0.0 if abs(value) < ROUNDING else value
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:#.3g}".rstrip(".")


ROUNDING = 1e-12
"""What is smaller is a zero that sums left behind."""


def _answers(result: TaskResult) -> str:
    """Name of the file of its answers, by task and part."""
    return f"answers_{result.task}.csv" if result.part == "test" else f"answers_{result.task}.{result.part}.csv"


def _read_answers(file: Path) -> pd.DataFrame:
    """The table of answers; empty where no row was answered. A label may be called `None`, a peptide `NA`."""
    import pandas as pd
    from pandas.errors import EmptyDataError

    try:
        return pd.read_csv(file, keep_default_na=False, na_values=[""])
    except EmptyDataError:
        return pd.DataFrame()


def _plain(result: TaskResult) -> dict[str, Any]:
    """The result as JSON writes it: NaN, which JSON lacks, as null."""
    kept = vars(result) | {"answers": _answers(result)}
    kept["contenders"] = [asdict(contender) for contender in result.contenders]
    kept["shifts"] = [asdict(shift) for shift in result.shifts]
    kept["reliability"] = {target: asdict(found) for target, found in result.reliability.items()}
    return _without_nan(kept)


def _without_nan(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _without_nan(child) for key, child in node.items()}
    if isinstance(node, (list, tuple)):
        return [_without_nan(child) for child in node]
    return None if isinstance(node, float) and isnan(node) else node


def _from_plain(declared: Mapping[str, Any], folder: Path) -> TaskResult:
    rest = dict(declared)
    answers = folder / rest.pop("answers", f"answers_{rest['task']}.csv")
    contenders = [
        Contender(
            c["name"],
            {name: Estimate(**_with_nan(e)) for name, e in c["estimates"].items()},
            c["seconds"],
            {seed: _with_nan(values) for seed, values in c.get("by_seed", {}).items()},
        )
        for c in rest.pop("contenders")
    ]
    not_answered = [(row, reason) for row, reason in rest.pop("not_answered")]
    shifts = [Shift(**_with_nan(shift)) for shift in rest.pop("shifts", [])]
    reliability = {target: Reliability(**_with_nan(r)) for target, r in rest.pop("reliability", {}).items()}
    return TaskResult(
        **rest,
        contenders=contenders,
        not_answered=not_answered,
        shifts=shifts,
        reliability=reliability,
        answers=_read_answers(answers),
    )


def _with_nan(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: nan if value is None else value for name, value in node.items()}

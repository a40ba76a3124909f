"""Results of an evaluation and their files: `evaluation.json` and one table of answers for each task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.bundle.card import DISTANCE
from mammal.errors import DataError
from mammal.evaluation.distance import SimilarityGroup, plain_groups
from mammal.evaluation.readable_names import ONLY, readable_name
from mammal.evaluation.reliability import Reliability
from mammal.evaluation.trust import IntervalFigures, SetFigures
from mammal.tasks.metrics.registry import metric_named
from mammal.tasks.metrics.undefined import UNDEFINED, undefined_note
from mammal.tasks.tables.atomic import atomic_file

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ONLY", "OURS", "Contender", "Estimate", "Shift", "TaskResult", "as_metrics", "earlier_results"]
__all__ += ["load_results", "readable_name", "save_results", "short", "with_earlier"]

OURS = "MAMMAL"
"""Name of the evaluated model in tables that also list baselines."""

FILE = "evaluation.json"
ANSWERS = "answers_*.csv"
"""Names of the tables of answers."""

TARGET = "target_column"
"""Column with the name of the target, for tasks with several targets. Many files use `target` for their proteins."""
TRUTH, LABEL = "truth", "label"
"""Columns with the true value or class, and with the predicted class of a classification task."""


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % interval.

    Attributes:
        value: value of one run, or the mean over seeds.
        low: lower bound of the interval; NaN if there is no interval.
        high: upper bound of the interval; NaN if there is no interval.
        sd: standard deviation over seeds (n - 1); NaN for one run.
    """

    value: float
    low: float
    high: float
    sd: float = nan

    def __str__(self) -> str:
        if isnan(self.value):
            return UNDEFINED
        decimals = len(short(self.value).partition(".")[2])
        spread = "" if isnan(self.sd) else f" ± {self.sd:.{decimals}f}"
        bounds = "" if isnan(self.low) or isnan(self.high) else f" ({short(self.low)} to {short(self.high)})"
        return short(self.value) + spread + bounds


@dataclass(frozen=True)
class Contender:
    """A model or baseline and its metrics on the held-out rows.

    Attributes:
        name: name of the model or baseline.
        estimates: name of a metric -> its estimate.
        seconds: time that predictions and metrics took; 0 for baselines.
        by_seed: seed or run -> name of a metric -> its value; empty if there is only one run.
        valid: baselines: the task's first metric on the validation rows, on which the best one is chosen; NaN if it is
            not known.
        note: settings that were chosen on the validation rows, and the number of training rows if not all were used.
    """

    name: str
    estimates: Mapping[str, Estimate]
    seconds: float = 0.0
    by_seed: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    valid: float = nan
    note: str = ""


@dataclass(frozen=True)
class Shift:
    """How far predictions move when the same input is written in another way (`mammal.tasks.perturbations`).

    Attributes:
        change: name of the change.
        rows: number of rows on which it was tried.
        changed: number of rows in which it changed the input; the figures below are computed over these rows.
        read_differently: number of changed rows whose prompt changed too; standardisation may undo a change.
        moved: mean absolute change of the value in its unit, or of the class probabilities (total variation).
        furthest: largest such change.
        flipped: classification: share of labels that changed.
        refused: number of changed rows without an answer.
        p95: 95th percentile of such changes.
    """

    change: str
    rows: int
    changed: int
    read_differently: int
    moved: float = nan
    furthest: float = nan
    flipped: float = nan
    refused: int = 0
    p95: float = nan


PRETRAINING = "pretraining"
"""`PRETRAINING/PART` in `TaskResult.leakage`: number of rows of a part that the model was pretrained on."""

NUMBERS = "rows of the table, from 1"
"""How rows are numbered in `answers_TASK.csv` and among the rows without an answer."""


@dataclass(frozen=True)
class TaskResult:
    """The results of one task: the model and all baselines on the same rows.

    Attributes:
        task: name of the task.
        about: description of the task.
        kind: kind of the task, such as "regression".
        unit: unit of the target; "" if it has none.
        labels: labels of a classification task.
        part: name of the held-out part, such as "test".
        split: how the rows were split.
        split_hash: hash that identifies this split.
        rows: number of rows, by part.
        metrics: names in the order of the task's declaration; the first is the most important one.
        contenders: the model, followed by the baselines.
        answers: data frame with a line for each held-out row and target: `row`, short columns that the prompt does not
            read (such as an id), the columns that it reads, `truth`, a column of scores for the model and each baseline
            (value, or probability of the last of two labels), `label` (the predicted class) for classification, and
            `low` and `high` if there are intervals.
        not_answered: rows without an answer, as pairs of row number and reason.
        reliability: classification: how reliable the model's probabilities are, by target column.
        coverage: regression: share of the true values within the model's prediction intervals, by target column.
        interval_figures: regression: coverage, width and calibration of these intervals, by target column.
        set_figures: classification: coverage and size of the sets of labels, by target column.
        distance: errors and coverage of groups of rows by their similarity to the training rows.
        similarity: what a similarity to the training rows is, in words; "" if the bundle keeps no training rows, so
            that `mammal.tasks.baselines.similarity` computes it.
        shifts: how far the model's predictions move under changes that should not affect them.
        intervals: how the intervals were computed: over `rows` (bootstrap) or over `seeds` (Student's t).
        row_numbers: how rows are numbered: `NUMBERS`; "" in files of earlier versions, which count the rows of the part
            from 0.
        leakage: number of rows of test and valid that are also in train (`mammal.tasks.splits.leakage`), and, as
            `pretraining/PART`, of those that the model was pretrained on (`mammal.evaluation.pretraining_leaks`).
        pretraining: that number in words, with what is expected by chance; "" if the bundle does not contain
            filters of pretraining rows.
        molecules: columns of `answers` that the prompt reads and that hold SMILES.
        generated: target columns whose generated text is SMILES.
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
    interval_figures: Mapping[str, IntervalFigures] = field(default_factory=dict)
    set_figures: Mapping[str, SetFigures] = field(default_factory=dict)
    shifts: Sequence[Shift] = ()
    intervals: str = "rows"
    leakage: Mapping[str, int] = field(default_factory=dict)
    molecules: Sequence[str] = ()
    generated: Sequence[str] = ()
    row_numbers: str = ""
    distance: Sequence[SimilarityGroup] = ()
    similarity: str = ""
    pretraining: str = ""

    @property
    def answers_file(self) -> str:
        """Name of the table of answers in the folder of an evaluation."""
        return f"answers_{self.task}.csv" if self.part == "test" else f"answers_{self.task}.{self.part}.csv"

    @property
    def ours(self) -> Contender:
        return self.contenders[0]

    @property
    def bar(self) -> Contender | None:
        """The best baseline, by the first metric on the validation rows; None if no baseline was evaluated there.

        The evaluated rows are not read: the best of many baselines on the same rows would be the luckiest one.
        """
        known = [one for one in self.contenders[1:] if not isnan(one.valid)]
        sign = 1 if known and metric_named(self.metrics[0]).higher_is_better else -1
        return max(known, key=lambda one: sign * one.valid, default=None)

    @property
    def title(self) -> str:
        """Heading for the task; it includes the part unless that is test."""
        return self.task.replace("_", " ") + ("" if self.part == "test" else f", {self.part} rows")


def save_results(results: Sequence[TaskResult], folder: Path) -> Path:
    """Writes `evaluation.json` and a table of answers for each result.

    Earlier results in the folder are no longer listed, unless they are among `results` (see `with_earlier`).

    Args:
        results: one for each task and part.
        folder: is created if it does not exist.

    Returns:
        The path of `evaluation.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        with atomic_file(folder / result.answers_file) as partial:
            result.answers.to_csv(partial, index=False)
    file = folder / FILE
    with atomic_file(file) as partial:
        content = {"tasks": [_plain(result) for result in results]}
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return file


def earlier_results(folder: Path) -> list[TaskResult]:
    """Reads the results in a folder.

    Args:
        folder: folder of an evaluation.

    Returns:
        The results; none if the folder contains no evaluation.

    Raises:
        DataError: the files are damaged.
    """
    return load_results(folder) if (folder / FILE).is_file() else []


def with_earlier(results: Sequence[TaskResult], earlier: Sequence[TaskResult]) -> list[TaskResult]:
    """Adds new results to earlier ones; a new result replaces the earlier one of the same task and part."""
    by_rows = {(result.task, result.part): result for result in (*earlier, *results)}
    return list(by_rows.values())


def load_results(folder: Path) -> list[TaskResult]:
    """Reads the results that `save_results` wrote.

    Args:
        folder: folder of an evaluation.

    Raises:
        DataError: the folder contains no evaluation, or its files are damaged.
    """
    try:
        declared = json.loads((folder / FILE).read_text(encoding="utf-8"))["tasks"]
        return [_from_plain(task, folder) for task in declared]
    except FileNotFoundError as error:
        raise DataError("no evaluation here", where=str(error.filename), hint="mammal evaluate writes one") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"not an evaluation: {error}", where=str(folder / FILE)) from error


def undefined_figures(result: TaskResult) -> str:
    """A sentence about the figures of a result that have no value, and why; empty if all have one."""
    estimates = [(name, e) for c in result.contenders for name, e in c.estimates.items()]
    return undefined_note(name for name, e in estimates if isnan(e.value) and name in result.metrics)


def as_metrics(results: Sequence[TaskResult]) -> dict[str, Any]:
    """The figures in the form of a bundle's `metrics.json`: task -> part -> split and the estimates of each model."""
    figures: dict[str, Any] = {}
    for result in results:
        figures.setdefault(result.task, {})[result.part] = {
            "split": result.split,
            "split_hash": result.split_hash,
            "rows": result.rows[result.part],
            "unit": result.unit or None,
            "leaking_rows": result.leakage.get(result.part),
            **in_pretraining(result.leakage.get(f"{PRETRAINING}/{result.part}")),
            "best_baseline_on_valid": result.bar.name if result.bar else None,
            **({DISTANCE: plain_groups(result.distance)} if result.distance else {}),
            "baseline_settings": "; ".join(f"{c.name}: {c.note}" for c in result.contenders if c.note) or None,
            **{
                contender.name: {name: [e.value, e.low, e.high] for name, e in contender.estimates.items()}
                for contender in result.contenders
            },
        }
    return figures


def in_pretraining(count: int | None) -> dict[str, int]:
    """Returns the entry of a part in `metrics.json` for rows that the model was pretrained on; empty if unknown.

    Args:
        count: number of these rows; None: unknown.
    """
    return {} if count is None else {"rows_in_pretraining": count}


def short(value: float) -> str:
    """Formats a number with three significant digits; from 1,000 to a million as a whole number, without exponent."""
    if isnan(value):
        return UNDEFINED
    value = 0.0 if abs(value) < ROUNDING else value
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:#.3g}".rstrip(".")


ROUNDING = 1e-12
"""Smaller absolute values are rounding errors of sums and are shown as zero."""


def _read_answers(file: Path) -> pd.DataFrame:
    """Reads the table of answers; empty if no row was answered. `None` may be a label and `NA` a peptide."""
    import pandas as pd
    from pandas.errors import EmptyDataError

    try:
        return pd.read_csv(file, keep_default_na=False, na_values=[""])
    except EmptyDataError:
        return pd.DataFrame()


def _plain(result: TaskResult) -> dict[str, Any]:
    """The result for JSON, which has no NaN: null replaces it."""
    kept = vars(result) | {"answers": result.answers_file}
    kept["contenders"] = [asdict(contender) for contender in result.contenders]
    kept["distance"] = [asdict(group) for group in result.distance]
    kept["shifts"] = [asdict(shift) for shift in result.shifts]
    for name in ("reliability", "interval_figures", "set_figures"):
        kept[name] = {target: asdict(found) for target, found in kept[name].items()}
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
            nan if c.get("valid") is None else c["valid"],
            c.get("note", ""),
        )
        for c in rest.pop("contenders")
    ]
    not_answered = [(row, reason) for row, reason in rest.pop("not_answered")]
    distance = [SimilarityGroup(**_with_nan(group)) for group in rest.pop("distance", [])]
    shifts = [Shift(**_with_nan(shift)) for shift in rest.pop("shifts", [])]
    kinds = {"reliability": Reliability, "interval_figures": IntervalFigures, "set_figures": SetFigures}
    for name, kind in kinds.items():
        rest[name] = {target: kind(**_with_nan(figures)) for target, figures in rest.get(name, {}).items()}
    return TaskResult(
        **rest,
        contenders=contenders,
        not_answered=not_answered,
        shifts=shifts,
        distance=distance,
        answers=_read_answers(answers),
    )


def _with_nan(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: nan if value is None else value for name, value in node.items()}

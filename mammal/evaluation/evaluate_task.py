"""Evaluates a trained model and its baselines on held-out rows; bundles and reports contain the resulting figures.

Shapes: N held-out rows that have both an answer and a true value.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal import console
from mammal.errors import ConfigError, MammalError
from mammal.evaluation.answer_table import answer_table
from mammal.evaluation.distance import bundle_similarity, by_distance
from mammal.evaluation.reliability import Reliability, reliability
from mammal.evaluation.results import NUMBERS, OURS, PRETRAINING, Contender, Estimate, TaskResult
from mammal.evaluation.sensitivity import sensitivity
from mammal.evaluation.trust import trust_figures
from mammal.tasks.declaration.schema import unit_text

if TYPE_CHECKING:
    from mammal.evaluation.task_data import TaskData
    from mammal.inference.reranking_task import Judge
    from mammal.model.model import MammalModel
    from mammal.tasks.baselines.fit import Fitted
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

BOOTSTRAP_SAMPLES = 1000
QUICK = "quick"
"""Baselines without settings to choose."""
SAMPLED = 200
"""Default number of sequences that are sampled to evaluate a generation task whose prompt reads no column."""


@dataclass(frozen=True)
class Depth:
    """What an evaluation does in addition to scoring the model's own predictions.

    Attributes:
        baselines: train baselines on the same training rows and evaluate them on the same rows: True for all, `quick`
            for those without settings to choose (no support vector machines and no boosting).
        trees: number of trees of each random forest, at least 1.
        seeds: baselines are fitted with the seeds 0 to `seeds` - 1.
        sensitivity: number of rows that are also predicted with changed inputs, where the change should not affect the
            prediction; 0: none.
        neighbours: compute the similarity of each row to its nearest training row, if the bundle keeps no training rows
            that predictions are compared with.
        draws: number of sequences that are sampled for a generation task whose prompt reads only conditions, at
            least 1.
        seed: random seed of everything that is sampled.
        judge: re-ranking task. The answers of tasks that it can read are also evaluated in the order that it gives
            them, as a second entry next to the model's own. None: no re-ranking.

    Raises:
        ConfigError: `trees`, `sensitivity` or `draws` is too small, or `baselines` has another value.
    """

    baselines: bool | str = False
    trees: int = 500
    seeds: int = 1
    sensitivity: int = 0
    neighbours: bool = False
    draws: int = SAMPLED
    seed: int = 0
    judge: Judge | None = None

    def __post_init__(self) -> None:
        if self.baselines not in (True, False, QUICK):
            what = f"baselines must be true, false or {QUICK}, not {self.baselines!r}"
            raise ConfigError(what, hint=f"{QUICK}: without support vector machines and boosting")
        for name, least in (("trees", 1), ("sensitivity", 0), ("draws", 1)):
            check_count(name, getattr(self, name), least)


def check_count(name: str, number: object, least: int, *, hint: str | None = None) -> None:
    """Refuses what is not a whole number of at least `least`.

    Args:
        name: argument that has the value.
        number: the value.
        least: smallest valid value.
        hint: how to correct it.

    Raises:
        ConfigError: the value is another one.
    """
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise ConfigError(f"must be a whole number, not {number!r}", where=name, hint=hint)
    if number < least:
        raise ConfigError(f"must be at least {least}, not {number}", where=name, hint=hint)


def evaluate_task(
    model: MammalModel,
    data: TaskData,
    *,
    part: str = "test",
    depth: Depth | None = None,
    drawn: Sequence[Prediction] | None = None,
) -> TaskResult:
    """Evaluates a model, and optionally its baselines, on the rows of one part.

    Args:
        model: network with its adapters merged into the weights.
        data: rows and task. The task is fitted, and calibrated if calibration is intended.
        part: name of the evaluated part in `data.rows`.
        depth: what else is evaluated; None: only the model's own predictions.
        drawn: result of `free_draws` for a task whose prompt reads no column, if it was computed already; None: it is
            computed here if it is needed.

    Returns:
        The metrics of the model (first) and of each baseline, with 95 % bootstrap intervals over rows, and the answer
        to every row.
    """
    depth = depth or Depth()
    task, rows = data.task, list(data.rows[part])
    numbers = data.row_numbers(part)
    begun = time.perf_counter()
    ours = answers_of(model, task, rows, draws=depth.draws, seed=depth.seed, drawn=drawn)
    contenders = [Contender(OURS, estimates(task, [ours], rows), time.perf_counter() - begun)]
    _tell_uncounted(task, ours, rows, numbers)
    answered: dict[str, Sequence[Prediction]] = {OURS: ours}
    if depth.judge is not None and depth.judge.fits(task):
        contenders.append(_reranked(depth.judge, task, rows, ours))
    if depth.baselines:
        judged, said = judge_baselines(data, part, depth)
        contenders += judged
        answered |= said
    intervals, sets = trust_figures(task, ours, rows)
    similarity_N = bundle_similarity(ours)
    if similarity_N is None and depth.neighbours:
        similarity_N = _similarity(data, rows)
    measured_by = task.training_rows if bundle_similarity(ours) is not None else None
    return TaskResult(
        task=task.name,
        about=task.config.about,
        kind=task.family,
        part=part,
        split=data.split.how,
        split_hash=data.split.hash,
        leakage=_leakage(data),
        pretraining=data.pretraining[part].sentence(part) if part in data.pretraining else "",
        rows={name: len(data.rows[name]) for name in data.rows},
        metrics=task.metric_names,
        contenders=contenders,
        answers=answer_table(task, answered, rows, similarity_N, numbers),
        not_answered=[(number, p.error) for number, p in zip(numbers, ours, strict=False) if p.error is not None],
        row_numbers=NUMBERS,
        unit=unit_text(task.config.unit),
        labels=list(task.config.labels),
        reliability=_reliability(task, ours, rows),
        coverage={target: found.coverage for target, found in intervals.items()},
        interval_figures=intervals,
        set_figures=sets,
        shifts=sensitivity(model, task, rows, ours, depth.sensitivity),
        distance=[] if similarity_N is None else by_distance(task, ours, rows, similarity_N),
        similarity="" if measured_by is None else measured_by.kept.measure,
        molecules=[column for column in task.columns if column in task.molecules],
        generated=_generated_molecules(task),
    )


def _tell_uncounted(task: Task, said: Sequence[Prediction], rows: Sequence[Row], numbers: Sequence[object]) -> None:
    """Warns of rows of which the figures know nothing: those without an answer, and those without a label to compare.

    Generated answers are all compared, so only tasks with labels or numbers have such rows.
    """
    if task.family not in ("classification", "regression", "token_classification"):
        return
    counted = {number for found in task.answers(said, rows).values() for number in found.numbers_N.tolist()}
    left = [place for place in range(len(rows)) if place not in counted]
    if left:
        first = left[0]
        reason = said[first].error or _unlabelled(task, rows[first])
        what = "%s: %s of %s rows are not in the figures; the first is row %s: %s"
        logger.warning(what, task.name, f"{len(left):,}", f"{len(rows):,}", numbers[first], reason)


def _unlabelled(task: Task, row: Row) -> str:
    """Why an answer can't be compared with the labels of its row."""
    try:
        task.encode(row, target=True)
    except MammalError as error:
        return str(error)
    return "it has no label, or only a bound"


def _leakage(data: TaskData) -> dict[str, int]:
    """Rows that are also in train, and those that the model was pretrained on."""
    seen = {f"{PRETRAINING}/{part}": found.seen for part, found in data.pretraining.items()}
    return {**data.record.leakage, **seen}


def _generated_molecules(task: Task) -> list[str]:
    """The target columns whose text is SMILES."""
    return [column for column in task.target_columns if task.family == "generation" and column in task.molecules]


def _reranked(judge: Judge, task: Task, rows: Sequence[Row], ours: Sequence[Prediction]) -> Contender:
    """The metrics of the model's answers after re-ranking."""
    from mammal.inference.reranking import rerank_predictions

    begun = time.perf_counter()
    found, trips = rerank_predictions(judge, task, rows, ours)
    name = f"{OURS}, ranked with {judge.task.name}"
    judged = estimates(task, [found], rows)
    nothing = float("nan")
    if judge.by_beams:
        logger.info(
            "%s: from %.1f %% of the first answers %s recovers the input, after re-ranking from %.1f %%",
            *(task.name, 100 * trips.before, judge.task.name, 100 * trips.after),
        )
        judged = {**judged, "round_trip": Estimate(trips.after, nothing, nothing)}
    return Contender(name, judged, time.perf_counter() - begun)


def judge_baselines(data: TaskData, part: str, depth: Depth) -> tuple[list[Contender], dict[str, Sequence[Prediction]]]:
    """Trains the inexpensive baselines with each seed and evaluates them. Progress is shown.

    Args:
        data: rows and task; baselines are trained on its training rows, and their settings chosen on its validation
            rows.
        part: name of the evaluated part in `data.rows`.
        depth: number of trees and of seeds.

    Returns:
        The metrics of each baseline over all seeds, and by name of the baseline its predictions with the first seed.
    """
    from mammal.tasks.baselines.fit import fit_baselines

    task, rows, valid = data.task, list(data.rows[part]), list(data.rows.get("valid", ()))
    seeds = range(max(1, depth.seeds))
    with console.Progress(f"baselines of {task.name}", unit="models") as shown:

        def progress(name: str, done: int, total: int) -> None:
            shown.total = total
            shown.advance(status="" if done == total else name)

        how: dict[str, Any] = {"trees": depth.trees, "seeds": seeds, "progress": progress}
        how["tuned"] = depth.baselines != QUICK
        fitted = fit_baselines(task, data.rows["train"], rows, valid=valid, **how)
    contenders = []
    for name, one in fitted.items():
        by_seed = {str(seed): task.metrics(run, rows) for seed, run in zip(seeds, one.test, strict=True)}
        figures = estimates(task, one.test, rows)
        contenders.append(Contender(name, figures, by_seed=by_seed, valid=_on_valid(task, one, valid), note=one.note))
    return contenders, {name: one.test[0] for name, one in fitted.items()}


def _on_valid(task: Task, fitted: Fitted, valid: Sequence[Row]) -> float:
    """The task's first metric on the validation rows, averaged over seeds; NaN without such rows."""
    from mammal.tasks.metrics.registry import compute_metrics

    runs = [run for run in fitted.valid if run]
    runs = runs[:1] if all(run is runs[0] for run in runs) else runs
    names = task.config.metrics[:1]
    figures = [compute_metrics(names, task.answers(run, valid))[names[0]] for run in runs if names]
    return float(np.mean(figures)) if figures else float("nan")


def answers_of(
    model: MammalModel,
    task: Task,
    rows: Sequence[Row],
    *,
    draws: int = SAMPLED,
    seed: int = 0,
    drawn: Sequence[Prediction] | None = None,
) -> list[Prediction]:
    """The model's answers to rows.

    If the prompt of a task reads no column, sequences are sampled from its only prompt.

    Args:
        model: network with its adapters merged into the weights.
        task: a fitted task.
        rows: rows to answer.
        draws: number of sequences for a task whose prompt reads no column, at most one for each row.
        seed: random seed of the sampling.
        drawn: sequences that were sampled already with `free_draws`; the first ones are used. None: sample here.

    Returns:
        One prediction for each row, or for each sampled sequence.
    """
    from mammal.inference.predict import predict_rows

    if task.columns or not rows:
        return predict_rows(model, task, rows, ranks=task.ranks, seed=seed)
    wanted = min(draws, len(rows))
    return list(drawn[:wanted]) if drawn is not None else free_draws(model, task, wanted, seed)


def free_draws(model: MammalModel, task: Task, draws: int, seed: int = 0) -> list[Prediction]:
    """Samples sequences of a task whose prompt reads only conditions, without a value for any condition.

    Args:
        model: network with its adapters merged into the weights.
        task: a generation task. Its declared settings are used, but without beam search and guidance.
        draws: number of sequences.
        seed: random seed of the sampling.

    Returns:
        One prediction for each sequence.
    """
    from mammal.generation.rows import generate_rows
    from mammal.generation.samples import sample_prediction
    from mammal.generation.settings import declared_generation, declared_rules
    from mammal.rows.batched import Refused, TaskEncoder
    from mammal.tasks.kinds.generation import generation_task

    task = generation_task(task)
    declared = replace(declared_generation(task).without_beams(), do_sample=True, guidance=1.0)
    how = replace(declared, num_return_sequences=draws, seed=seed)
    (samples,) = generate_rows(model, TaskEncoder(task), [{}], how, rules=declared_rules(task))
    assert not isinstance(samples, Refused), "a prompt that reads nothing can't be refused"
    return [sample_prediction(task, number, sample, {}) for number, sample in enumerate(samples)]


def estimates(task: Task, runs: Sequence[Sequence[Prediction]], rows: Sequence[Row]) -> dict[str, Estimate]:
    """Computes each metric of the task over several runs on the same rows.

    Args:
        task: a fitted task.
        runs: predictions of each run, one for each row.
        rows: the evaluated rows.

    Returns:
        By name of the metric: the mean over runs; the bounds of the bootstrap interval over rows, averaged over runs;
        and the standard deviation over runs, NaN for a single run. A value is NaN if the metric is undefined.
    """
    judged = list(rows)[: len(runs[0])]
    different = runs[:1] if all(run is runs[0] for run in runs) else runs  # deterministic models are fitted once
    values = [task.metrics(run, judged) for run in different]
    bounds = [task.metric_intervals(run, judged, samples=BOOTSTRAP_SAMPLES) for run in different]
    found = {}
    for name in values[0]:
        low, high = np.mean([b.get(name, (np.nan, np.nan)) for b in bounds], axis=0)
        of_runs = [value[name] for value in values]
        spread = float(np.std(of_runs, ddof=1)) if len(different) > 1 else float("nan")
        found[name] = Estimate(float(np.mean(of_runs)), float(low), float(high), spread)
    return found


def _similarity(data: TaskData, rows: Sequence[Row]) -> np.ndarray | None:
    """Similarity of each row to its nearest training row; None for tasks without molecules and sequences."""
    from mammal.tasks.baselines.similarity import TrainingSimilarity

    known = TrainingSimilarity.fit(data.task, data.rows["train"])
    return known.similarity(data.task, rows) if known.bits else None


def _reliability(task: Task, ours: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Reliability]:
    if task.family != "classification":
        return {}
    found = {target: reliability(answers) for target, answers in task.answers(ours, rows).items()}
    return {target: one for target, one in found.items() if one is not None}

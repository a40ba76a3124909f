"""A trained model on held-out rows, beside its baselines: the figures that a bundle and a report carry.

Shapes: N held-out rows that have both an answer and a truth.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mammal.errors import ConfigError
from mammal.evaluation.answer_table import answer_table
from mammal.evaluation.reliability import Reliability, reliability
from mammal.evaluation.results import OURS, Contender, Estimate, TaskResult
from mammal.evaluation.sensitivity import sensitivity
from mammal.tasks.declaration.schema import unit_text

if TYPE_CHECKING:
    from mammal.evaluation.task_data import TaskData
    from mammal.inference.reranking import Judge
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

BOOTSTRAP_SAMPLES = 1000
SAMPLED = 200
"""Sequences drawn to judge a generation task whose prompt reads no column, unless told otherwise."""


@dataclass(frozen=True)
class Depth:
    """What an evaluation does besides judging our own predictions.

    Attributes:
        baselines: train the cheap baselines on the same training rows and judge them on the same rows.
        trees: of a random forest.
        seeds: baselines are fitted with the seeds 0 to `seeds` - 1.
        sensitivity: rows on which changes that should not move a prediction are tried; 0: none.
        neighbours: find the similarity of each row to its nearest training row.
        draws: sequences of a generation task whose prompt reads nothing but conditions.
        seed: of all that is drawn.
        judge: puts the answers of tasks that it reads in order; judged beside ours.
    """

    baselines: bool = False
    trees: int = 500
    seeds: int = 1
    sensitivity: int = 0
    neighbours: bool = False
    draws: int = SAMPLED
    seed: int = 0
    judge: Judge | None = None

    def __post_init__(self) -> None:
        for name, least in (("trees", 1), ("sensitivity", 0), ("draws", 1)):
            if (number := getattr(self, name)) < least:
                raise ConfigError(f"must be at least {least}, not {number}", where=name)


def evaluate_task(
    model: MammalModel,
    data: TaskData,
    *,
    part: str = "test",
    depth: Depth | None = None,
    drawn: Sequence[Prediction] | None = None,
) -> TaskResult:
    """Metrics with 95 % bootstrap intervals over the rows of a part, ours first.

    Args:
        model: adapters folded in.
        data: its task is fitted, and calibrated if it shall be.
        drawn: `free_draws` of a task whose prompt reads no column, where they were made already.
    """
    depth = depth or Depth()
    task, rows = data.task, list(data.rows[part])
    begun = time.perf_counter()
    ours = answers_of(model, task, rows, draws=depth.draws, seed=depth.seed, drawn=drawn)
    contenders = [Contender(OURS, estimates(task, [ours], rows), time.perf_counter() - begun)]
    answered: dict[str, Sequence[Prediction]] = {OURS: ours}
    if depth.judge is not None and depth.judge.fits(task):
        contenders.append(_reranked(depth.judge, task, rows, ours))
    if depth.baselines:
        judged, said = judge_baselines(data, part, depth)
        contenders += judged
        answered |= said
    return TaskResult(
        task=task.name,
        about=task.config.about,
        kind=task.kind,
        part=part,
        split=data.split.how,
        split_hash=data.split.hash,
        leakage=data.record.leakage,
        rows={name: len(data.rows[name]) for name in data.rows},
        metrics=list(task.config.metrics),
        contenders=contenders,
        answers=answer_table(task, answered, rows, _similarity(data, rows) if depth.neighbours else None),
        not_answered=[(number, p.error) for number, p in enumerate(ours) if p.error is not None],
        unit=unit_text(task.config.unit),
        labels=list(task.config.labels),
        reliability=_reliability(task, ours, rows),
        coverage=_coverage(task, ours, rows),
        shifts=sensitivity(model, task, rows, ours, depth.sensitivity),
    )


def _reranked(judge: Judge, task: Task, rows: Sequence[Row], ours: Sequence[Prediction]) -> Contender:
    """Our answers in the order that a judge makes of them."""
    from mammal.inference.reranking import rerank_predictions

    begun = time.perf_counter()
    found, trips = rerank_predictions(judge, task, rows, ours)
    name = f"{OURS}, ranked with {judge.task.name}"
    logger.info(
        "%s: %.1f %% of first answers lead back by %s, %.1f %% once it has ranked them",
        *(task.name, 100 * trips.before, judge.task.name, 100 * trips.after),
    )
    nothing = float("nan")
    judged = {**estimates(task, [found], rows), "round_trip": Estimate(trips.after, nothing, nothing)}
    return Contender(name, judged, time.perf_counter() - begun)


def judge_baselines(data: TaskData, part: str, depth: Depth) -> tuple[list[Contender], dict[str, Sequence[Prediction]]]:
    """The cheap baselines over their seeds, and what each says with the first one."""
    from mammal.tasks.baselines.fit import seeded_baselines

    task, rows = data.task, list(data.rows[part])
    seeds = range(max(1, depth.seeds))
    said = seeded_baselines(task, data.rows["train"], rows, trees=depth.trees, seeds=seeds)
    contenders = []
    for name, runs in said.items():
        by_seed = {str(seed): task.metrics(run, rows) for seed, run in zip(seeds, runs, strict=True)}
        contenders.append(Contender(name, estimates(task, runs, rows), by_seed=by_seed))
    return contenders, {name: runs[0] for name, runs in said.items()}


def answers_of(
    model: MammalModel,
    task: Task,
    rows: Sequence[Row],
    *,
    draws: int = SAMPLED,
    seed: int = 0,
    drawn: Sequence[Prediction] | None = None,
) -> list[Prediction]:
    """Our answers for rows. A task whose prompt reads no column is sampled: `draws` sequences of its one prompt, though
    never more than there are rows (the first of `drawn`, where they were made already)."""
    from mammal.inference.predict import predict_rows

    if task.columns or not rows:
        return predict_rows(model, task, rows, ranks=task.ranks, seed=seed)
    wanted = min(draws, len(rows))
    return list(drawn[:wanted]) if drawn is not None else free_draws(model, task, wanted, seed)


def free_draws(model: MammalModel, task: Task, draws: int, seed: int = 0) -> list[Prediction]:
    """Sequences of a task whose prompt reads nothing but conditions, none of which is given."""
    from mammal.generation.rows import generate_rows, spelt
    from mammal.generation.settings import declared_generation, declared_rules
    from mammal.rows.batched import Refused, TaskEncoder
    from mammal.tasks.kinds.generation import generation_task

    task = generation_task(task)
    declared = replace(declared_generation(task).without_beams(), do_sample=True, guidance=1.0)
    how = replace(declared, num_return_sequences=draws, seed=seed)
    (samples,) = generate_rows(model, TaskEncoder(task), [{}], how, rules=declared_rules(task))
    assert not isinstance(samples, Refused), "a prompt that reads nothing can't be refused"
    return [spelt(task, number, sample, {}) for number, sample in enumerate(samples)]


def estimates(task: Task, runs: Sequence[Sequence[Prediction]], rows: Sequence[Row]) -> dict[str, Estimate]:
    """Each metric of the task over runs on the same rows; NaN where it is undefined.

    Value: the mean over runs. Interval: bootstrap over rows, its bounds averaged over runs. Spread: standard deviation
    over runs, where there are several.
    """
    judged = list(rows)[: len(runs[0])]
    different = runs[:1] if all(run is runs[0] for run in runs) else runs  # models without chance are fitted once
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
    """Of each row to its nearest training row; None for tasks without molecules and sequences."""
    from mammal.tasks.baselines.similarity import TrainingSimilarity

    known = TrainingSimilarity.fit(data.task, data.rows["train"])
    return known.similarity(data.task, rows) if known.bits else None


def _reliability(task: Task, ours: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Reliability]:
    if task.kind != "classification":
        return {}
    found = {target: reliability(answers) for target, answers in task.answers(ours, rows).items()}
    return {target: one for target, one in found.items() if one is not None}


def _coverage(task: Task, ours: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, float]:
    """Share of the measured truths within our intervals, by target column; empty where the bundle gives none."""
    if task.kind != "regression" or not len(rows):
        return {}
    found = {}
    for target, answers in task.answers(ours, rows).items():
        truths = zip(answers.numbers_N.tolist(), answers.truth_N.tolist(), strict=True)
        pairs = [(bounds, truth) for row, truth in truths if (bounds := ours[row].for_target(target).interval)]
        if pairs:
            found[target] = float(np.mean([low <= truth <= high for (low, high), truth in pairs]))
    return found

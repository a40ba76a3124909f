"""A trained model on held-out rows, beside its baselines: the figures that a bundle and a report carry.

Shapes: N held-out rows that have both an answer and a truth.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mammal.report.results import OURS, Contender, Estimate, TaskResult

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.cells import Row
    from mammal.tasks.prediction import Prediction
    from mammal.tasks.task import Task
    from mammal.training.data import TaskData

BOOTSTRAP_SAMPLES = 1000
SAMPLED = 200
"""Sequences drawn to judge a generation task whose prompt reads no column."""


def evaluate_task(
    model: MammalModel, data: TaskData, *, part: str = "test", compare: bool = False, trees: int = 500
) -> TaskResult:
    """Metrics with 95 % bootstrap intervals over the rows of a part, ours first.

    Args:
        model: adapters folded in.
        data: its task is fitted, and calibrated if it shall be.
        compare: train the cheap baselines on the same training rows and judge them on the same rows.
        trees: of a random forest.
    """
    task, rows = data.task, list(data.rows[part])
    begun = time.perf_counter()
    answered = {OURS: answers_of(model, task, rows)}
    seconds = {OURS: time.perf_counter() - begun}
    if compare:
        from mammal.tasks.baselines import baselines

        answered |= baselines(task, data.rows["train"], rows, trees=trees)
    return TaskResult(
        task=task.name,
        about=task.config.about,
        kind=task.kind,
        part=part,
        split=data.split.how,
        split_hash=data.split.hash,
        rows={name: len(data.rows[name]) for name in data.rows},
        metrics=list(task.config.metrics),
        contenders=[
            Contender(name, estimates(task, said, rows), seconds.get(name, 0.0)) for name, said in answered.items()
        ],
        answers=_answers_frame(task, answered, rows),
        not_answered=[(number, p.error) for number, p in enumerate(answered[OURS]) if p.error is not None],
        unit=task.config.unit or "",
        labels=list(task.config.labels),
    )


def answers_of(model: MammalModel, task: Task, rows: Sequence[Row]) -> list[Prediction]:
    """Our answers for rows. A task whose prompt reads no column is sampled: `SAMPLED` sequences of its one prompt."""
    from mammal.verbs import declared_generation, generate_rows, predict_rows
    from mammal.walk import Refused, TaskEncoder

    if task.columns or not rows:
        return predict_rows(model, task, rows)
    drawn = min(SAMPLED, len(rows))
    how = replace(declared_generation(task), do_sample=True, num_return_sequences=drawn, num_beams=1)
    (samples,) = generate_rows(model, TaskEncoder(task), [{}], how)
    assert not isinstance(samples, Refused), "a prompt that reads nothing can't be refused"
    return [task.decode_generated(sample.ids, number, sample.score) for number, sample in enumerate(samples)]


def estimates(task: Task, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Estimate]:
    """Each metric of the task with its interval; NaN where it is undefined."""
    judged = list(rows)[: len(predictions)]
    values = task.metrics(predictions, judged)
    bounds = task.metric_intervals(predictions, judged, samples=BOOTSTRAP_SAMPLES)
    nothing = (float("nan"), float("nan"))
    return {name: Estimate(value, *bounds.get(name, nothing)) for name, value in values.items()}


def _answers_frame(task: Task, answered: Mapping[str, Sequence[Prediction]], rows: Sequence[Row]) -> Any:
    """One row for each answered held-out row and target: what was read, the truth, each contender's answer."""
    import pandas as pd

    ours = answered[OURS]
    aliases = task.config.data.columns
    lines = []
    for number, prediction in enumerate(ours):
        if prediction.error is not None:
            continue
        row = rows[number]
        read = {column: row.get(aliases.get(column, column), row.get(column)) for column in task.columns}
        for target in task.target_columns:
            line = {"row": number, **read}
            if len(task.target_columns) > 1:
                line["target"] = target
            line["truth"] = row.get(aliases.get(target, target), row.get(target))
            for name, predictions in answered.items():
                line[name] = _figure(task, predictions[number], target) if number < len(predictions) else None
            interval = prediction.for_target(target).interval
            lines.append(line | ({} if interval is None else {"low": interval[0], "high": interval[1]}))
    frame = pd.DataFrame(lines)
    if task.kind == "regression" and len(frame):
        frame["truth"] = pd.to_numeric(frame["truth"], errors="coerce")
    return frame.dropna(subset=["truth"]) if len(frame) and task.kind != "generation" else frame


def _figure(task: Task, prediction: Prediction, target: str) -> Any:
    """The number that plots show of an answer: the value, or the probability; text for generated answers."""
    if prediction.error is not None:
        return None
    answer = prediction.for_target(target)
    if task.kind == "regression":
        return answer.value
    return answer.probability if task.kind == "classification" else answer.text

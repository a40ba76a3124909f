"""What a model says of one row, in the units and labels of the user's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """One row's answer; fields that a task does not give are None.

    Attributes:
        row_id: the row this belongs to, as the caller numbered it.
        value: regression, and generation of a number: the number, in the unit of the training file. Two classes: as
            `probability`.
        label: classification: the label, spelt as in the file (`ClassificationTask.answer` says which).
        probability: of `label` (more than two classes) or of the last of two labels, calibrated where the bundle
            holds a calibration.
        probabilities: of every label, in the task's order: with more than two classes, or among all tokens.
        interval: regression: (low, high) with the bundle's conformal coverage.
        text: generation: what was generated, tags removed.
        score: generation: log-likelihood of `text`.
        by_target: tasks with several target columns: the answer for each column; `value`, `label`, `probability` and
            `interval` are then None, `text` is the whole text.
        runners_up: generation: the next best answers, best first, where several were asked for.
        completed: generation that fills in: column -> its text with every hidden stretch filled.
        draws: generation: how often `text` was drawn.
        problem: generation: why `text`, which is kept, is no valid answer; None where it is, or nobody checks.
        error: why this row has no answer; every other field is then None.
    """

    row_id: object
    value: float | None = None
    label: str | None = None
    probability: float | None = None
    probabilities: tuple[float, ...] | None = None
    interval: tuple[float, float] | None = None
    text: str | None = None
    score: float | None = None
    by_target: Mapping[str, Prediction] | None = None
    runners_up: tuple[Prediction, ...] = ()
    completed: Mapping[str, str] | None = None
    draws: int | None = None
    problem: str | None = None
    error: str | None = None

    def for_target(self, column: str) -> Prediction:
        """The answer for one target column."""
        return self if self.by_target is None else self.by_target[column]

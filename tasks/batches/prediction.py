"""Predictions of a model for one row, in the units and labels of the user's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class NearRow(NamedTuple):
    """A training row that is near to a row.

    Attributes:
        similarity: how near it is, 0 to 1.
        inputs: column -> what its prompt shows, standardised.
        labels: target column -> its cell.
    """

    similarity: float
    inputs: Mapping[str, str]
    labels: Mapping[str, Any]


@dataclass(frozen=True)
class Prediction:
    """The answer for one row. Fields that a task does not give are None.

    Attributes:
        row_id: number or name that the caller gave the row.
        value: the number, in the unit of the training file (regression, and generation of a number). With two labels,
            the same as `probability`.
        label: classification: the label, written as in the training file. Token classification: the label of each
            token, as one text.
        probability: of the last of two labels, or of `label` if there are more; calibrated if the bundle contains a
            calibration.
        probabilities: of every label, in the order of the task: with more than two labels, or among all tokens.
        label_set: classification: the labels among which the true one is, with the coverage of the bundle. It can be
            empty.
        spread: regression by several members: standard deviation of their predictions, on the scale of the interval
            (decimal logarithms with `scale.log`).
        dropout_spread: standard deviation over passes with dropout, if they were requested: of the number, in the unit
            of the training file, or of the probability that the answer reports.
        interval: regression: (low, high) with the conformal coverage of the bundle, in the unit of the training file.
        text: generation: the generated text, without tags.
        score: generation: log-likelihood of `text` (natural logarithm).
        by_target: the answer for each target column, for tasks with several. `value`, `label`, `probability` and
            `interval` are then None, and `text` is the whole text.
        runners_up: generation: the next best answers, best first, if several were requested.
        vectors: features: name -> predicted vector, float32 [F], in the scale of the task: normal scores of
            descriptors, probabilities of the bits of fingerprints.
        completed: infilling: the text of each column with its hidden parts filled in.
        draws: generation: how often `text` was sampled until it was valid.
        problem: generation: why `text` is not a valid answer. None if it is valid, or if the task has no check.
        token_probabilities: token classification: probability of every label at each token, float32 [R, C], in the
            order of the task. A sequence that was cut has fewer tokens than its text.
        similarity: similarity of the row to the nearest training row, 0 to 1 (`mammal.tasks.applicability`). This field
            and the next three are also in each answer of `by_target`. They are None if the bundle keeps no training
            rows of the task, or if the row has no molecule.
        percentile: share of the validation rows that are as far from the training rows or farther, in percent; None
            with few validation rows.
        outside: whether `percentile` is below 10.
        nearest: the nearest training rows, nearest first, if they were requested and the bundle contains their texts.
        error: why this row has no answer. All other fields except `row_id` are then None.
    """

    row_id: object
    value: float | None = None
    label: str | None = None
    probability: float | None = None
    probabilities: tuple[float, ...] | None = None
    label_set: tuple[str, ...] | None = None
    spread: float | None = None
    dropout_spread: float | None = None
    interval: tuple[float, float] | None = None
    text: str | None = None
    score: float | None = None
    by_target: Mapping[str, Prediction] | None = None
    runners_up: tuple[Prediction, ...] = ()
    vectors: Mapping[str, np.ndarray] | None = None
    completed: Mapping[str, str] | None = None
    draws: int | None = None
    problem: str | None = None
    error: str | None = None
    token_probabilities: np.ndarray | None = None
    similarity: float | None = None
    percentile: float | None = None
    outside: bool | None = None
    nearest: tuple[NearRow, ...] | None = None

    def for_target(self, column: str) -> Prediction:
        """Returns the answer for one target column.

        Args:
            column: name of the target column.
        """
        return self if self.by_target is None else self.by_target[column]

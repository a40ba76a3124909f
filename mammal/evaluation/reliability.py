"""How far probabilities can be believed: reliability curve, expected calibration error, Brier score.

Bins hold equal numbers of rows, so that every point of the curve rests on as much data as the next (Nixon et al. 2019);
the expected calibration error is the mean over bins of |mean predicted - observed|, weighted by rows (Naeini et al.
2015). With more than two classes the probability of the predicted class is set against how often it is right (Guo et
al. 2017). Shapes: N rows, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mammal.tasks.metrics.registry import Answers

BINS = 10


@dataclass(frozen=True)
class Reliability:
    """A reliability curve and its two summaries.

    Attributes:
        predicted, observed: mean probability, and share of rows that came true, of each bin in ascending order.
        counts: rows of each bin.
        ece: expected calibration error, 0 to 1.
        brier: mean squared error of the probabilities (Brier 1950); summed over classes where there are more than two.
        chance: Brier score of the share of each class among the same rows.
    """

    predicted: Sequence[float]
    observed: Sequence[float]
    counts: Sequence[int]
    ece: float
    brier: float
    chance: float


def reliability(answers: Answers, bins: int = BINS) -> Reliability | None:
    """Of one target column of a classification; None without rows or probabilities."""
    probability_NC, truth_N = answers.probability_NC, answers.truth_N
    if probability_NC is None or not len(truth_N):
        return None
    classes = probability_NC.shape[1]
    if classes == 2:
        shown_N, came_true_N = probability_NC[:, 1], truth_N == 1
    else:
        shown_N, came_true_N = probability_NC.max(axis=1), probability_NC.argmax(axis=1) == truth_N
    predicted, observed, counts = curve(came_true_N.astype(float), shown_N, bins)
    happened_NC = np.eye(classes)[truth_N]
    halves = 2 if classes == 2 else 1  # two classes: the error of the positive one alone, which is half of the sum
    return Reliability(
        predicted.tolist(),
        observed.tolist(),
        counts.tolist(),
        ece=float((counts * np.abs(predicted - observed)).sum() / counts.sum()),
        brier=_squared(probability_NC, happened_NC) / halves,
        chance=_squared(happened_NC.mean(axis=0, keepdims=True), happened_NC) / halves,
    )


def curve(came_true_N: np.ndarray, probability_N: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, ...]:
    """Mean probability, share that came true and number of rows of each of at most `bins` bins of equal count."""
    order = np.argsort(probability_N, kind="stable")
    groups = [group for group in np.array_split(order, min(bins, len(order))) if len(group)]
    predicted = np.array([probability_N[group].mean() for group in groups])
    observed = np.array([came_true_N[group].mean() for group in groups])
    return predicted, observed, np.array([len(group) for group in groups])


def _squared(probability_NC: np.ndarray, happened_NC: np.ndarray) -> float:
    return float(((probability_NC - happened_NC) ** 2).sum(axis=1).mean())

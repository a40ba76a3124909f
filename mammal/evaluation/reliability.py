"""How reliable predicted probabilities are: reliability curve, expected calibration error, Brier score, log loss.

Bins contain equal numbers of rows, so that each point of the curve is based on the same amount of data (Nixon et al.
2019). The expected calibration error is the mean over bins of |mean predicted - observed|, weighted by rows (Naeini et
al. 2015). With more than two classes, the probability of the predicted class is compared with how often this class is
correct (Guo et al. 2017). Shapes: N rows, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mammal.tasks.metrics.registry import Answers

BINS = 10
_TINY = 1e-12


@dataclass(frozen=True)
class Reliability:
    """A reliability curve and its two summaries.

    Attributes:
        predicted: mean predicted probability of each bin, in ascending order.
        observed: share of the rows of each bin in which the predicted event occurred.
        counts: number of rows in each bin.
        ece: expected calibration error, 0 to 1.
        brier: mean squared error of the probabilities (Brier 1950); summed over classes if there are more than two.
        chance: Brier score of a prediction that always gives the share of each class among the same rows.
        log_loss: mean negative log-likelihood of the true class (natural logarithm); NaN in earlier evaluations.
    """

    predicted: Sequence[float]
    observed: Sequence[float]
    counts: Sequence[int]
    ece: float
    brier: float
    chance: float
    log_loss: float = float("nan")


def reliability(answers: Answers, bins: int = BINS) -> Reliability | None:
    """Computes the reliability of the predicted probabilities for one target column of a classification.

    Args:
        answers: predictions and true classes of one target column.
        bins: number of bins of the curve.

    Returns:
        The curve and its summaries; None without rows or probabilities.
    """
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
    halves = 2 if classes == 2 else 1  # two classes: only the error of the positive class, which is half of the sum
    return Reliability(
        predicted.tolist(),
        observed.tolist(),
        counts.tolist(),
        ece=float((counts * np.abs(predicted - observed)).sum() / counts.sum()),
        brier=_squared(probability_NC, happened_NC) / halves,
        chance=_squared(happened_NC.mean(axis=0, keepdims=True), happened_NC) / halves,
        log_loss=float(-np.log(np.clip(probability_NC[np.arange(len(truth_N)), truth_N], _TINY, None)).mean()),
    )


def curve(came_true_N: np.ndarray, probability_N: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, ...]:
    """Computes a reliability curve with bins of equal numbers of rows.

    Args:
        came_true_N: 1.0 if the event occurred, else 0.0, float64 [N].
        probability_N: predicted probability of the event, float64 [N].
        bins: maximal number of bins.

    Returns:
        For each bin: mean predicted probability, share of rows in which the event occurred, number of rows.
    """
    order = np.argsort(probability_N, kind="stable")
    groups = [group for group in np.array_split(order, min(bins, len(order))) if len(group)]
    predicted = np.array([probability_N[group].mean() for group in groups])
    observed = np.array([came_true_N[group].mean() for group in groups])
    return predicted, observed, np.array([len(group) for group in groups])


def _squared(probability_NC: np.ndarray, happened_NC: np.ndarray) -> float:
    return float(((probability_NC - happened_NC) ** 2).sum(axis=1).mean())

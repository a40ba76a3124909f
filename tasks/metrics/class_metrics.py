"""Metrics of classes and their probabilities; NaN if a metric is undefined.

Shapes: N rows that have both truth and answer, C classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mammal.tasks.metrics import token_metrics
from mammal.tasks.metrics.answers import Answers

CALIBRATION_BINS = 15
"""Number of bins of equal width in `ece`, as in Guo et al. (2017)."""


def auroc(a: Answers) -> float:
    return _over_classes(a, _rank_auroc)


def auprc(a: Answers) -> float:
    return _over_classes(a, _average_precision)


def _over_classes(a: Answers, of: Callable[[np.ndarray, np.ndarray], float]) -> float:
    """Value for the positive class; with more than two classes, mean of one-versus-rest over classes that occur."""
    present = np.unique(a.truth_N)
    if a.probability_NC is None or len(present) < 2:
        return float("nan")
    classes = [1] if a.probability_NC.shape[1] == 2 else present
    return float(np.mean([of(a.truth_N == c, a.probability_NC[:, c]) for c in classes]))


def _rank_auroc(positive_N: np.ndarray, score_N: np.ndarray) -> float:
    """Probability that a positive has a higher score than a negative, ties counted half (Mann and Whitney 1947).

    Equal to scikit-learn's `roc_auc_score`, whose input checks take more time in a bootstrap than the computation.
    """
    from scipy.stats import rankdata

    positives = int(positive_N.sum())
    negatives = len(positive_N) - positives
    above = rankdata(score_N)[positive_N].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def _average_precision(positive_N: np.ndarray, score_N: np.ndarray) -> float:
    """Precision at each distinct score, weighted by the gain in recall; equal to scikit-learn's, see `_rank_auroc`."""
    order = np.argsort(-score_N, kind="stable")
    hits_N, ends = positive_N[order].cumsum(), np.flatnonzero(np.diff(score_N[order], append=np.nan))
    found = hits_N[ends]
    return float((np.diff(found, prepend=0) * found / (ends + 1)).sum() / found[-1])


def accuracy(a: Answers) -> float:
    return float(np.mean(a.truth_N == a.answer_N)) if len(a) else float("nan")


def right(a: Answers) -> np.ndarray:
    """1 if the predicted class is the true one, float64 [N]."""
    return (a.truth_N == a.answer_N).astype(np.float64)


def row_accuracy(a: Answers) -> float:
    """Mean over rows of the share of a row's tokens with the right label; `accuracy` if rows have one label each."""
    return token_metrics.row_accuracy(a)(np.ones(len(a)))


def balanced_accuracy(a: Answers) -> float:
    """Mean recall over the classes that occur (Brodersen et al. 2010)."""
    recalls = [np.mean(a.answer_N[a.truth_N == c] == c) for c in np.unique(a.truth_N)]
    return float(np.mean(recalls)) if recalls else float("nan")


def top3_accuracy(a: Answers) -> float:
    """Share of rows with the true class among the three most probable ones; of equals, those listed first count."""
    if not len(a) or a.probability_NC is None:
        return float("nan")
    best_N3 = np.argsort(-a.probability_NC, axis=1, kind="stable")[:, :3]
    return float(np.mean((best_N3 == a.truth_N[:, None]).any(axis=1)))


def mcc(a: Answers) -> float:
    """Matthews correlation for any number of classes (Gorodkin 2004); 0 if all answers are one class."""
    if len(np.unique(a.truth_N)) < 2:
        return float("nan")
    classes = int(max(a.truth_N.max(), a.answer_N.max())) + 1
    truth_C, answer_C = (np.bincount(x, minlength=classes).astype(float) for x in (a.truth_N, a.answer_N))
    rows, right = len(a), float((a.truth_N == a.answer_N).sum())
    spread = (rows**2 - (truth_C**2).sum()) * (rows**2 - (answer_C**2).sum())
    return float((right * rows - truth_C @ answer_C) / np.sqrt(spread)) if spread > 0 else 0.0


def f1(a: Answers) -> float:
    """F1 of the positive class; macro average with more than two classes."""
    from sklearn.metrics import f1_score

    if not len(a) or a.probability_NC is None:
        return float("nan")
    average = "binary" if a.probability_NC.shape[1] == 2 else "macro"
    return float(f1_score(a.truth_N, a.answer_N, average=average, zero_division=0))


def brier(a: Answers) -> float:
    """Mean squared error of probabilities, summed over classes (Brier 1950); two classes: only of the positive one."""
    if not len(a) or a.probability_NC is None:
        return float("nan")
    if a.probability_NC.shape[1] == 2:
        return float(np.mean((a.probability_NC[:, 1] - (a.truth_N == 1)) ** 2))
    return float(np.mean(((a.probability_NC - np.eye(a.probability_NC.shape[1])[a.truth_N]) ** 2).sum(axis=1)))


def ece(a: Answers) -> float:
    """Expected calibration error (Naeini et al. 2015): mean distance between predicted and observed frequencies.

    Rows are binned by probability: that of the positive class (two classes), or of the most probable one (more; Guo et
    al. 2017). The mean probability of each bin is compared with its share of positives, or of correct answers.
    """
    if not len(a) or a.probability_NC is None:
        return float("nan")
    if a.probability_NC.shape[1] == 2:
        said_N, so_N = a.probability_NC[:, 1], a.truth_N == 1
    else:
        said_N, so_N = a.probability_NC.max(axis=1), a.probability_NC.argmax(axis=1) == a.truth_N
    bins_N = np.minimum((said_N * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins_N, weights=said_N - so_N, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(a))

"""Metrics of classes for weighted pairs: the bootstrap of tokens, where a row that is sampled twice counts twice.

The tokens of a test part are hundreds of thousands of pairs. Each function here sorts or counts them once, and returns
a function from the weight of each pair to the metric. Its values are those of `class_metrics` for repeated pairs.

Shapes: N pairs, C classes, G distinct scores.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mammal.tasks.metrics.answers import Answers

Weighted = Callable[[np.ndarray], float]
"""From the number of times that each pair counts, int64 [N], to the metric; NaN if it is undefined."""


def of_confusion(metric: Callable[[np.ndarray], float]) -> Callable[[Answers], Weighted]:
    """Returns a weighted metric from a function of the confusion matrix, float64 [true C, predicted C]."""

    def weighted(a: Answers) -> Weighted:
        assert a.probability_NC is not None, "metrics of classes read probabilities"
        classes = a.probability_NC.shape[1]
        cells_N = a.truth_N * classes + a.answer_N

        def of(times_N: np.ndarray) -> float:
            counts = np.bincount(cells_N, weights=times_N, minlength=classes**2)
            return metric(counts.reshape(classes, classes))

        return of

    return weighted


def accuracy(counts_CC: np.ndarray) -> float:
    return float(np.trace(counts_CC) / counts_CC.sum()) if counts_CC.sum() else float("nan")


def row_accuracy(a: Answers) -> Weighted:
    """Mean over rows of the share of a row's tokens with the right label; all tokens of a row have one weight."""
    _, row_N, tokens_G = np.unique(a.numbers_N, return_inverse=True, return_counts=True)
    share_N = 1.0 / tokens_G[row_N]
    right_N = share_N * (a.truth_N == a.answer_N)

    def of(times_N: np.ndarray) -> float:
        rows = float(times_N @ share_N)
        return float(times_N @ right_N) / rows if rows else float("nan")

    return of


def balanced_accuracy(counts_CC: np.ndarray) -> float:
    true_C = counts_CC.sum(axis=1)
    present = true_C > 0
    return float((np.diag(counts_CC)[present] / true_C[present]).mean()) if present.any() else float("nan")


def f1(counts_CC: np.ndarray) -> float:
    """F1 of the second of two classes; the macro average over the classes that occur with more than two."""
    right_C, either_C = np.diag(counts_CC), counts_CC.sum(axis=0) + counts_CC.sum(axis=1)
    if not counts_CC.sum():
        return float("nan")
    f1_C = 2 * right_C / np.maximum(either_C, 1)
    return float(f1_C[1]) if len(counts_CC) == 2 else float(f1_C[either_C > 0].mean())


def mcc(counts_CC: np.ndarray) -> float:
    true_C, said_C, pairs = counts_CC.sum(axis=1), counts_CC.sum(axis=0), counts_CC.sum()
    if (true_C > 0).sum() < 2:
        return float("nan")
    spread = (pairs**2 - (true_C**2).sum()) * (pairs**2 - (said_C**2).sum())
    return float((np.trace(counts_CC) * pairs - true_C @ said_C) / np.sqrt(spread)) if spread > 0 else 0.0


def auroc(a: Answers) -> Weighted:
    return _over_classes(a, _area)


def auprc(a: Answers) -> Weighted:
    return _over_classes(a, _average_precision)


def _over_classes(a: Answers, of: Callable[[np.ndarray, np.ndarray], float]) -> Weighted:
    """The value for the second of two classes; with more, the mean of each against the rest that occurs."""
    assert a.probability_NC is not None, "metrics of classes read probabilities"
    classes = a.probability_NC.shape[1]
    judged = [1] if classes == 2 else range(classes)
    ranked = [(c, a.truth_N == c, np.unique(a.probability_NC[:, c], return_inverse=True)[1]) for c in judged]

    def weighted(times_N: np.ndarray) -> float:
        present = np.bincount(a.truth_N, weights=times_N, minlength=classes) > 0
        if present.sum() < 2:
            return float("nan")
        values = []
        for c, positive_N, group_N in ranked:
            if classes == 2 or present[c]:
                positive_G = np.bincount(group_N, weights=times_N * positive_N)
                values.append(of(positive_G, np.bincount(group_N, weights=times_N) - positive_G))
        return float(np.mean(values))

    return weighted


def _area(positive_G: np.ndarray, negative_G: np.ndarray) -> float:
    """Share of pairs of a positive and a negative in which the positive has the higher score, ties counted half."""
    below_G = negative_G.cumsum() - negative_G / 2
    return float((positive_G @ below_G) / (positive_G.sum() * negative_G.sum()))


def _average_precision(positive_G: np.ndarray, negative_G: np.ndarray) -> float:
    """Precision at each distinct score, weighted by the gain in recall."""
    positive_G, negative_G = positive_G[::-1], negative_G[::-1]
    found_G = positive_G.cumsum()
    precision_G = found_G / np.maximum(found_G + negative_G.cumsum(), 1)
    return float((positive_G @ precision_G) / found_G[-1])

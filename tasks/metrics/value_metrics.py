"""Metrics of numbers; NaN if a metric is undefined.

Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mammal.tasks.metrics.answers import Answers


def mae(a: Answers) -> float:
    return float(np.mean(np.abs(a.truth_N - a.answer_N))) if len(a) else float("nan")


def mse(a: Answers) -> float:
    return float(np.mean((a.truth_N - a.answer_N) ** 2)) if len(a) else float("nan")


def rmse(a: Answers) -> float:
    return float(np.sqrt(mse(a)))


def nrmse(a: Answers) -> float:
    """RMSE divided by the standard deviation of the evaluated truths (population form, so that nrmse² = 1 - r2).

    Predicting their mean gives 1. Other definitions divide by the range or by the mean of the truths.
    """
    return rmse(a) / float(a.truth_N.std()) if _varies(a.truth_N) else float("nan")


def r2(a: Answers) -> float:
    return 1 - mse(a) / float(a.truth_N.var()) if _varies(a.truth_N) else float("nan")


def pearson(a: Answers) -> float:
    both_vary = _varies(a.truth_N) and _varies(a.answer_N)
    return float(np.corrcoef(a.truth_N, a.answer_N)[0, 1]) if both_vary else float("nan")


def spearman(a: Answers) -> float:
    from scipy.stats import rankdata

    if not (_varies(a.truth_N) and _varies(a.answer_N)):
        return float("nan")
    return float(np.corrcoef(rankdata(a.truth_N), rankdata(a.answer_N))[0, 1])


def ci(a: Answers) -> float:
    """Concordance index: of the pairs with different truths, the share with answers in the same order.

    Pairs with equal answers count half (Harrell et al. 1982; Gönen and Heller 2005), as in DeepDTA (Öztürk et al.
    2018). It equals (1 + D) / 2 with Somers' D. D is computed from Kendall's tau-b, with the tie correction for one
    side only, in O(N log N).
    """
    from scipy.stats import kendalltau

    if not _varies(a.truth_N):
        return float("nan")
    if not _varies(a.answer_N):
        return 0.5
    tau_b = kendalltau(a.truth_N, a.answer_N, method="asymptotic").statistic
    pairs = len(a) * (len(a) - 1) / 2
    untied = [pairs - _tied_pairs(values_N) for values_N in (a.truth_N, a.answer_N)]
    return float((1 + tau_b * np.sqrt(untied[1] / untied[0])) / 2)


def rmse_log10(a: Answers) -> float:
    """RMSE of decimal logarithms: 1 is a factor of ten. NaN if an answer is not positive."""
    return rmse(_log10(a))


def r2_log10(a: Answers) -> float:
    """R² of decimal logarithms. NaN if an answer is not positive."""
    return r2(_log10(a))


def _log10(a: Answers) -> Answers:
    """Decimal logarithms of truth and answer, over rows whose truth is positive."""
    kept = a.take(np.flatnonzero(a.truth_N > 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        said_N = np.where(kept.answer_N > 0, np.log10(kept.answer_N), np.nan)
    return replace(kept, truth_N=np.log10(kept.truth_N), answer_N=said_N)


def _tied_pairs(values_N: np.ndarray) -> float:
    _, counts = np.unique(values_N, return_counts=True)
    return float((counts * (counts - 1.0) / 2).sum())


def _varies(values_N: np.ndarray) -> bool:
    """Whether not all values are equal; the standard deviation of equal values can be above 0 by rounding."""
    return len(values_N) > 1 and bool((values_N != values_N[0]).any())

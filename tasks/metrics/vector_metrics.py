"""Metrics of predicted vectors.

Shapes: N rows, F entries of a vector.
"""

from __future__ import annotations

import numpy as np

from mammal.tasks.metrics.answers import Answers

_CONSTANT = 1e-12
"""Variance up to which an entry counts as constant, so that its explained share is undefined."""


def explained_variance(a: Answers) -> float:
    """Mean over entries of 1 - mean squared error / variance, both on the known rows of the entry.

    Entries that are constant or unknown in all rows are left out; NaN if that leaves none. Predicting each entry's mean
    of these rows gives 0.
    """
    return explained_of_sums(squares(a).sum(axis=0)) if len(a) else float("nan")


def squares(a: Answers) -> np.ndarray:
    """Returns what each row adds to the sums of `explained_of_sums`, float64 [N, 4 F].

    For each entry: whether it is known, its true value, the square of that, and the squared error.
    """
    truth_NF = a.truth_N.astype(np.float64)
    known_NF = ~np.isnan(truth_NF)
    truth_NF = np.where(known_NF, truth_NF, 0.0)
    error_NF = np.where(known_NF, a.answer_N - truth_NF, 0.0)
    return np.concatenate([known_NF, truth_NF, truth_NF**2, error_NF**2], axis=1)


def explained_of_sums(sums: np.ndarray) -> float:
    """Computes the explained variance from sums over rows.

    Args:
        sums: sum over rows of `squares`, float64 [4 F].
    """
    count_F, sum_F, square_F, error_F = sums.reshape(4, -1)
    rows_F = np.maximum(count_F, 1)
    variance_F = square_F / rows_F - (sum_F / rows_F) ** 2
    varies_F = variance_F > _CONSTANT
    if not varies_F.any():
        return float("nan")
    return float(np.mean(1 - (error_F / rows_F)[varies_F] / variance_F[varies_F]))


def bit_average_precision(a: Answers) -> float:
    """Mean over bits of the average precision with which rows are ranked by the predicted probability of the bit.

    Bits that are equal in all rows are left out; NaN if that leaves none. A constant prediction gives the mean share of
    rows in which a bit is set.
    """
    from sklearn.metrics import average_precision_score

    if not len(a):
        return float("nan")
    varies_F = a.truth_N.any(axis=0) & ~a.truth_N.all(axis=0)
    if not varies_F.any():
        return float("nan")
    return float(average_precision_score(a.truth_N[:, varies_F], a.answer_N[:, varies_F], average="macro"))

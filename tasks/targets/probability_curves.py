"""Calibration curves of two-class probabilities that need many validation rows: isotonic regression and Venn-Abers.

Shapes: N rows, K points of a curve.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

MINIMUM_ROWS = 200
"""Minimum number of validation rows for a curve; with fewer, isotonic regression overfits (Niculescu-Mizil 2005)."""

MINIMUM_ROWS_OF_CLASS = 30
FOLDS = 5
KEPT = 1e-3
"""Weight of the probability before the curve. It keeps the order of rows on a flat part of the curve."""

Method = Literal["isotonic", "venn_abers"]

Fit = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""Function from probabilities [N] and truths [N] to a calibration, which maps probabilities to probabilities."""


@dataclass(frozen=True)
class ProbabilityCurve:
    """The calibrated probability as a function of another probability.

    Attributes:
        method: `isotonic`: linear between the points (Zadrozny & Elkan 2002). `venn_abers`: constant from each point to
            the next (Vovk & Petej 2014; both probabilities are combined as in Vovk et al. 2015).
        points: ascending probabilities before the curve.
        values: calibrated probability at each point.
    """

    method: Method
    points: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, probability: Any) -> Any:
        """Returns the calibrated probability, for a number or an array of numbers."""
        points_K, values_K = np.array(self.points), np.array(self.values)
        if self.method == "isotonic":
            found = np.interp(probability, points_K, values_K)
        else:
            found = values_K[np.maximum(np.searchsorted(points_K, probability, side="right") - 1, 0)]
        return (1 - KEPT) * found + KEPT * probability

    def state(self) -> dict[str, Any]:
        return {"method": self.method, "points": list(self.points), "values": list(self.values)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ProbabilityCurve:
        points, values = (tuple(float(value) for value in state[name]) for name in ("points", "values"))
        return cls(state["method"], points, values)


def choose_curve(probability_N: np.ndarray, truth_N: np.ndarray) -> ProbabilityCurve | None:
    """Fits a curve if it is better than none in cross-validation.

    A curve is chosen if its log loss is lower by more than the standard error of the difference.

    Args:
        probability_N: probability of the positive class for validation rows, float [N].
        truth_N: 1 for positive rows, int [N].

    Returns:
        The curve; None if none is better, or for too few rows.
    """
    if len(truth_N) < MINIMUM_ROWS or np.bincount(truth_N, minlength=2).min() < MINIMUM_ROWS_OF_CLASS:
        return None
    gains = {method: gain for method, fit in _FITS.items() if (gain := gain_of(fit, probability_N, truth_N)) > 0}
    if not gains:
        return None
    return _FITS[max(gains, key=lambda method: gains[method])](probability_N, truth_N)


def gain_of(fit: Fit, probability_N: np.ndarray, truth_N: np.ndarray) -> float:
    """Returns by how much a calibration lowers the mean log loss in cross-validation.

    Args:
        fit: function from probabilities and truths of some rows to a calibration.
        probability_N: probability of the positive class, float [N].
        truth_N: 1 for positive rows, int [N]; each class has at least `FOLDS` rows.

    Returns:
        The gain; 0 if it is not larger than its standard error over rows.
    """
    gain_N = _log_losses(probability_N, truth_N) - _log_losses(_held_out(fit, probability_N, truth_N), truth_N)
    gain = float(gain_N.mean())
    return gain if gain > gain_N.std(ddof=1) / np.sqrt(len(gain_N)) else 0.0


def fit_isotonic(probability_N: np.ndarray, truth_N: np.ndarray) -> ProbabilityCurve:
    """Fits isotonic regression; its values are kept away from 0 and 1 by 1 / (N + 2)."""
    from sklearn.isotonic import IsotonicRegression

    edge = 1 / (len(truth_N) + 2)
    fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(probability_N, truth_N)
    return _curve("isotonic", fitted.X_thresholds_, fitted.y_thresholds_)


def fit_venn_abers(probability_N: np.ndarray, truth_N: np.ndarray) -> ProbabilityCurve:
    """Fits an inductive Venn-Abers predictor, whose answers are constant between the validation rows."""
    from venn_abers import VennAbers

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All-NaN slice", category=RuntimeWarning)
        fitted = VennAbers().fit(np.stack([1 - probability_N, probability_N], axis=1), truth_N)
    points_K = np.unique(np.append(0.0, probability_N))
    between_K = (points_K + np.append(points_K[1:], 1.0)) / 2
    combined_K2, _ = fitted.predict_proba(np.stack([1 - between_K, between_K], axis=1))
    return _curve("venn_abers", points_K, combined_K2[:, 1])


_FITS = {"isotonic": fit_isotonic, "venn_abers": fit_venn_abers}


def _curve(method: Method, points_K: np.ndarray, values_K: np.ndarray) -> ProbabilityCurve:
    """Without points that are not needed: constant stretches keep their ends."""
    same_before_K = np.append(False, values_K[1:] == values_K[:-1])
    same_after_K = np.append(values_K[:-1] == values_K[1:], False)
    kept_K = ~(same_before_K & (same_after_K if method == "isotonic" else True))
    return ProbabilityCurve(method, tuple(points_K[kept_K].tolist()), tuple(values_K[kept_K].tolist()))


def _held_out(fit: Fit, probability_N: np.ndarray, truth_N: np.ndarray) -> np.ndarray:
    """Calibrated probabilities of rows on which the curve was not fitted."""
    from sklearn.model_selection import StratifiedKFold

    found_N = np.empty(len(truth_N))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(probability_N, truth_N)
    for others, held in folds:
        found_N[held] = fit(probability_N[others], truth_N[others])(probability_N[held])
    return found_N


def _log_losses(probability_N: np.ndarray, truth_N: np.ndarray) -> np.ndarray:
    edge = 1e-12
    clipped_N = np.clip(probability_N, edge, 1 - edge)
    return -np.log(np.where(truth_N == 1, clipped_N, 1 - clipped_N))

"""Calibration of class probabilities: Platt scaling, isotonic regression, Venn-Abers, temperature, threshold.

All are fitted on validation rows, on which the model was not trained.
Shapes: N rows, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.targets.probability_curves import FOLDS, ProbabilityCurve, choose_curve, gain_of

if TYPE_CHECKING:
    from mammal.tasks.metrics.answers import Answers

MINIMUM_ROWS = 20
"""Minimum number of validation rows; with fewer, no calibration is fitted."""

_TINY = 1e-12


@dataclass(frozen=True)
class ClassCalibration:
    """Calibration of class probabilities.

    With two classes, calibrated log-odds = slope * log-odds + shift (Platt 1999) if this has a lower log loss in
    cross-validation than the probabilities as they are, which have slope 1 and shift 0. If there are enough rows,
    isotonic regression (Zadrozny & Elkan 2002) or a Venn-Abers predictor (Vovk & Petej 2014) replaces these
    probabilities by the same criterion. With more classes, all log-probabilities are multiplied by `slope`, the
    inverse temperature (Guo et al. 2017), and normalised again.

    Attributes:
        slope: factor of the log-odds, or inverse temperature.
        shift: two classes: added to the scaled log-odds.
        threshold: two classes: calibrated probability from which on the positive label is predicted; it maximises the
            Matthews correlation on the validation rows.
        class_weights: more than two classes: the weight of each class in the loss, if it was weighted. The
            probabilities of a model trained with weights are multiplied by them, so they are divided by them before
            calibration (Elkan 2001). With two classes, `shift` corrects for the weights.
        curve: two classes: the calibrated probability as a function of that by slope and shift; None: it is the same.
    """

    slope: float
    shift: float = 0.0
    threshold: float = 0.5
    class_weights: tuple[float, ...] = ()
    curve: ProbabilityCurve | None = None

    @classmethod
    def fit(cls, answers: Answers, weights_C: np.ndarray | None = None) -> ClassCalibration | None:
        """Fits a calibration by maximum likelihood.

        Args:
            answers: truth and predicted probabilities of validation rows.
            weights_C: weight of each class in the loss, float [C]; None: all equal.

        Returns:
            The calibration. None for fewer than `MINIMUM_ROWS` rows, for rows of a single class, and for two classes
            if the fitted slope is not positive: it would reverse every ranking because of a few rows.
        """
        truth_N, probability_NC = answers.truth_N, answers.probability_NC
        assert probability_NC is not None, "classification answers hold probabilities"
        if len(truth_N) < MINIMUM_ROWS or len(np.unique(truth_N)) < 2:
            return None
        if probability_NC.shape[1] > 2:
            weights = () if weights_C is None else tuple(weights_C.tolist())
            logp_NC = _unweighted(np.log(np.maximum(probability_NC, _TINY)), weights)
            return cls(_temperature(logp_NC, truth_N), class_weights=weights)
        slope, shift = _chosen_platt(probability_NC[:, 1], truth_N)
        if slope <= 0:
            return None
        calibrated_N = _sigmoid(slope * _log_odds(probability_NC[:, 1]) + shift)
        curve = choose_curve(calibrated_N, truth_N)
        if curve is not None:
            calibrated_N = curve(calibrated_N)
        return cls(slope, shift, best_threshold(truth_N, calibrated_N), curve=curve)

    def apply(self, logp_C: np.ndarray) -> np.ndarray:
        """Returns calibrated probabilities [C] for log-probabilities [C]."""
        if len(logp_C) > 2:
            return _softmax(self.slope * _unweighted(logp_C, self.class_weights))
        positive = _sigmoid(self.slope * _log_odds(np.exp(logp_C[1])) + self.shift)
        if self.curve is not None:
            positive = self.curve(positive)
        return np.array([1 - positive, positive])

    def state(self) -> dict[str, Any]:
        """Returns the calibration as plain values; class weights and curve only if there are any."""
        weights = {"class_weights": list(self.class_weights)} if self.class_weights else {}
        curve = {} if self.curve is None else {"curve": self.curve.state()}
        return {"slope": self.slope, "shift": self.shift, "threshold": self.threshold} | weights | curve

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ClassCalibration:
        weights = tuple(float(weight) for weight in state.get("class_weights", ()))
        stored = state.get("curve")
        curve = None if stored is None else ProbabilityCurve.from_state(stored)
        return cls(float(state["slope"]), float(state["shift"]), float(state["threshold"]), weights, curve)


def best_threshold(truth_N: np.ndarray, positive_N: np.ndarray) -> float:
    """Returns the probability threshold for the positive class with the highest Matthews correlation.

    The threshold lies halfway between two neighbouring probabilities. Of several equally good thresholds the one
    nearest to 0.5 is returned; 0.5 if no threshold is better than chance.

    Args:
        truth_N: 1 for positive rows, int [N].
        positive_N: predicted probability of the positive class, float [N].
    """
    order = np.argsort(-positive_N, kind="stable")
    sorted_p, is_positive = positive_N[order], truth_N[order] == 1
    cuts = np.flatnonzero(np.diff(sorted_p)) + 1
    if not len(cuts):
        return 0.5
    hits, total, positives = np.cumsum(is_positive)[cuts - 1], len(truth_N), int(is_positive.sum())
    false_alarms = cuts - hits
    misses, rejections = positives - hits, total - positives - false_alarms
    product = cuts * float(positives) * (total - positives) * (total - cuts)
    mcc = (hits * rejections - false_alarms * misses) / np.sqrt(np.maximum(product, 1.0))
    if mcc.max() <= 1e-12:
        return 0.5
    thresholds = (sorted_p[cuts - 1] + sorted_p[cuts]) / 2
    best = np.flatnonzero(mcc >= mcc.max() - 1e-12)
    return float(thresholds[best[np.abs(thresholds[best] - 0.5).argmin()]])


def _platt(log_odds_N: np.ndarray, truth_N: np.ndarray) -> tuple[float, float]:
    """Slope and shift by logistic regression on Platt's smoothed targets, which keep both finite on separable rows."""
    from scipy.optimize import minimize

    positives = int((truth_N == 1).sum())
    negatives = len(truth_N) - positives
    goal_N = np.where(truth_N == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z_N = parameters[0] * log_odds_N + parameters[1]
        error_N = _sigmoid(z_N) - goal_N
        value = np.mean(np.logaddexp(0, z_N) - goal_N * z_N)
        return float(value), np.array([np.mean(error_N * log_odds_N), np.mean(error_N)])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B")
    return float(found.x[0]), float(found.x[1])


def _chosen_platt(positive_N: np.ndarray, truth_N: np.ndarray) -> tuple[float, float]:
    """Slope and shift of Platt scaling; 1 and 0 if it is not better than none in cross-validation.

    A probe is chosen on the validation rows, so its probabilities look too good there. Rows of a class that are too few
    for the folds are always scaled.
    """
    found = _platt(_log_odds(positive_N), truth_N)
    if found[0] <= 0 or np.bincount(truth_N, minlength=2).min() < FOLDS:
        return found
    return found if gain_of(_platt_scaling, positive_N, truth_N) else (1.0, 0.0)


def _platt_scaling(positive_N: np.ndarray, truth_N: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    slope, shift = _platt(_log_odds(positive_N), truth_N)
    return lambda other_N: _sigmoid(slope * _log_odds(other_N) + shift)


def _unweighted(logp_NC: np.ndarray, weights: tuple[float, ...]) -> np.ndarray:
    """Log-probabilities without the effect of the training weights, up to a constant for each row."""
    return logp_NC - np.log(weights) if weights else logp_NC


def _temperature(logp_NC: np.ndarray, truth_N: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar

    def loss(log_slope: float) -> float:
        scaled = np.exp(log_slope) * logp_NC
        normal_N = np.logaddexp.reduce(scaled, axis=1)
        return float(np.mean(normal_N - scaled[np.arange(len(truth_N)), truth_N]))

    return float(np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x))


def _log_odds(p: np.ndarray) -> np.ndarray:
    clipped = np.clip(p, _TINY, 1 - _TINY)
    return np.log(clipped) - np.log1p(-clipped)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(z, -700, 700)))


def _softmax(z: np.ndarray) -> np.ndarray:
    exp = np.exp(z - z.max())
    return exp / exp.sum()

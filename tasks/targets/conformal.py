"""Conformal prediction: intervals for numbers and sets of labels that contain the truth with a given probability.

Both are fitted on validation rows, on which the model was not trained, and hold if new rows are distributed like them.
The quantiles are those of the package `crepes` (Boström 2022), which is needed only to fit.
Shapes: N rows, C classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

MINIMUM_ROWS = 20
"""Minimum number of validation rows; with fewer, nothing is fitted."""

MINIMUM_ROWS_SCALED = 60
"""Minimum number of validation rows for intervals whose width depends on the row."""

COVERAGE = 0.9
LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Coverages for which a half width is stored, so that the calibration of all of them can be evaluated."""


@dataclass(frozen=True)
class Difficulty:
    """The expected absolute error of a row, as a multiple of the mean of the validation rows.

    Attributes:
        constant: part that is the same for all rows.
        distance: factor of the distance to the training rows, 1 - similarity.
        spread: factor of the standard deviation of the members of an ensemble, in the unit of the interval.
        half_width: half width of the interval of a row with the difficulty 1.
    """

    constant: float
    distance: float
    spread: float
    half_width: float

    def of(self, similarity: float | None, spread: float | None) -> float | None:
        """Returns the difficulty of a row; None if a number that it needs is not known.

        Args:
            similarity: similarity to the nearest training row, 0 to 1.
            spread: standard deviation of the members of an ensemble.
        """
        if (self.distance and similarity is None) or (self.spread and spread is None):
            return None
        return self.constant + self.distance * (1 - (similarity or 0.0)) + self.spread * (spread or 0.0)


@dataclass(frozen=True)
class ConformalInterval:
    """Interval value ± half_width, from split conformal prediction (Lei et al. 2018).

    With a `difficulty`, the width is proportional to the expected error of the row (Papadopoulos et al. 2011). Rows
    whose difficulty is not known get the interval of constant width.

    Attributes:
        half_width: in the unit of the values.
        coverage: probability that the interval contains the truth, between 0 and 1.
        difficulty: how the width depends on the row; None: it is constant.
        half_widths: half width at each coverage of `LEVELS`, of a row with the difficulty 1 if there is one. Empty in
            bundles of earlier versions.
    """

    half_width: float
    coverage: float = COVERAGE
    difficulty: Difficulty | None = None
    half_widths: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls,
        truth_N: np.ndarray,
        answer_N: np.ndarray,
        coverage: float = COVERAGE,
        *,
        similarity_N: np.ndarray | None = None,
        spread_N: np.ndarray | None = None,
    ) -> ConformalInterval | None:
        """Fits the interval: half_width is the ceil((n + 1) * coverage)-th smallest absolute error.

        The width depends on the row if distance or spread predict the absolute errors of at least
        `MINIMUM_ROWS_SCALED` rows: their factors are found by least squares and are not negative.

        Args:
            truth_N: measured values of n validation rows, float [N].
            answer_N: predicted values, float [N].
            coverage: probability, between 0 and 1.
            similarity_N: similarity of each row to the nearest training row, float [N]; None: unknown.
            spread_N: standard deviation of the members of an ensemble for each row, float [N]; None: unknown.

        Returns:
            The interval; None if there are too few rows for this coverage.
        """
        error_N = np.abs(truth_N - answer_N)
        if len(error_N) < MINIMUM_ROWS or (half_width := smallest_bound(error_N, coverage)) is None:
            return None
        fitted = _factors(error_N, similarity_N, spread_N)
        if fitted is None:
            return cls(half_width, coverage, None, _at_levels(error_N))
        factors, difficulty_N = fitted
        scaled_N = error_N / difficulty_N
        scaled = smallest_bound(scaled_N, coverage)
        assert scaled is not None, "as many rows as for the constant width"
        return cls(half_width, coverage, Difficulty(*factors, scaled), _at_levels(scaled_N))

    def around(self, value: float, similarity: float | None = None, spread: float | None = None) -> tuple[float, float]:
        """Returns the limits of the interval of a row.

        Args:
            value: the prediction.
            similarity: similarity of the row to the nearest training row; None: unknown.
            spread: standard deviation of the members of an ensemble; None: unknown.
        """
        difficulty = None if self.difficulty is None else self.difficulty.of(similarity, spread)
        half_width = self.half_width
        if self.difficulty is not None and difficulty is not None:
            half_width = difficulty * self.difficulty.half_width
        return value - half_width, value + half_width

    def half_widths_of(self, similarity: float | None = None, spread: float | None = None) -> tuple[float, ...]:
        """Returns the half width of the interval of a row at each coverage of `LEVELS`.

        Args:
            similarity: as for `around`.
            spread: as for `around`.

        Returns:
            The half widths; none if they are not known.
        """
        difficulty = 1.0 if self.difficulty is None else self.difficulty.of(similarity, spread)
        return () if difficulty is None else tuple(difficulty * width for width in self.half_widths)

    def state(self) -> dict[str, Any]:
        """Returns the interval as plain values; earlier versions read the first two, a valid interval."""
        state: dict[str, Any] = {"half_width": self.half_width, "coverage": self.coverage}
        if self.difficulty is not None:
            state["difficulty"] = asdict(self.difficulty)
        if self.half_widths:
            state["half_widths"] = list(self.half_widths)
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ConformalInterval:
        difficulty = state.get("difficulty")
        widths = tuple(float(width) for width in state.get("half_widths", ()))
        read = None if difficulty is None else Difficulty(**{name: float(value) for name, value in difficulty.items()})
        return cls(float(state["half_width"]), float(state["coverage"]), read, widths)


@dataclass(frozen=True)
class LabelSets:
    """Sets of labels that contain the true one, for rows of each class with the same probability.

    A label belongs to the set if its probability is at least its threshold (label-conditional conformal prediction,
    Vovk et al. 2005). A set can be empty, for a row that is unlike the rows of every class.

    Attributes:
        thresholds: probability from which on each label belongs to the set, in the order of the labels; 0 for labels
            with too few validation rows, which belong to every set.
        coverage: probability that the set contains the truth, between 0 and 1.
    """

    thresholds: tuple[float, ...]
    coverage: float = COVERAGE

    @classmethod
    def fit(cls, truth_N: np.ndarray, probability_NC: np.ndarray, coverage: float = COVERAGE) -> LabelSets | None:
        """Fits the thresholds.

        Args:
            truth_N: class of n validation rows, int [N].
            probability_NC: their probabilities, as new rows get them, float [N, C].
            coverage: probability, between 0 and 1.

        Returns:
            The sets; None if no class has enough rows for this coverage.
        """
        thresholds = []
        for number in range(probability_NC.shape[1]):
            strangeness_N = 1 - probability_NC[truth_N == number, number]
            bound = smallest_bound(strangeness_N, coverage) if len(strangeness_N) else None
            thresholds.append(0.0 if bound is None else max(1 - bound, 0.0))
        return cls(tuple(thresholds), coverage) if any(thresholds) else None

    def of(self, probability_C: Sequence[float]) -> tuple[int, ...]:
        """Returns the classes of the set for the probabilities of a row, [C]."""
        pairs = zip(probability_C, self.thresholds, strict=True)
        return tuple(number for number, (probability, least) in enumerate(pairs) if probability >= least - _ROUNDING)

    def state(self) -> dict[str, Any]:
        return {"thresholds": list(self.thresholds), "coverage": self.coverage}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LabelSets:
        return cls(tuple(float(value) for value in state["thresholds"]), float(state["coverage"]))


_ROUNDING = 1e-12
"""Probabilities are compared with this tolerance, because 1 - (1 - p) is not always p."""


def smallest_bound(scores_N: np.ndarray, coverage: float) -> float | None:
    """Returns the smallest score that at least `coverage` of new scores don't exceed; None for too few scores.

    Args:
        scores_N: scores of validation rows, not negative, float [N].
        coverage: probability, between 0 and 1.
    """
    from crepes import ConformalRegressor

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the no. of calibration examples is too small")
        fitted = ConformalRegressor().fit(np.asarray(scores_N, dtype=np.float64))
        bound = float(fitted.predict_int(np.zeros(1), confidence=coverage)[0, 1])
    return bound if np.isfinite(bound) else None


def _at_levels(scores_N: np.ndarray) -> tuple[float, ...]:
    """The bound at each coverage of `LEVELS`; `MINIMUM_ROWS` scores are enough for all of them."""
    return tuple(bound for level in LEVELS if (bound := smallest_bound(scores_N, level)) is not None)


def _factors(
    error_N: np.ndarray, similarity_N: np.ndarray | None, spread_N: np.ndarray | None
) -> tuple[tuple[float, float, float], np.ndarray] | None:
    """Constant and factors of distance and spread, and the difficulty of each row [N], whose mean is 1.

    None if the errors depend on neither.
    """
    if len(error_N) < MINIMUM_ROWS_SCALED or (similarity_N is None and spread_N is None) or not error_N.mean():
        return None
    from scipy.optimize import nnls

    nothing_N = np.zeros(len(error_N))
    distance_N = nothing_N if similarity_N is None else 1 - similarity_N
    columns_N3 = np.stack([np.ones(len(error_N)), distance_N, nothing_N if spread_N is None else spread_N], axis=1)
    found, _ = nnls(columns_N3, error_N)
    if not found[1:].any():
        return None
    found[0] = max(found[0], LEAST_CONSTANT * error_N.mean())
    found /= (columns_N3 @ found).mean()
    return (float(found[0]), float(found[1]), float(found[2])), columns_N3 @ found


LEAST_CONSTANT = 0.25
"""At least this share of the mean error is the same for all rows, so that no interval becomes a point."""

"""Metrics of the agreement of generated molecules with requested properties, by row: float64 [N], NaN if invalid.

Properties are computed from the molecule (`mammal.tasks.molecules.properties`), so the obtained values are exact.

Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

import numpy as np

from mammal.tasks.metrics.answers import Answers
from mammal.tasks.molecules.properties import property_or_nan

SHUFFLE_SEED = 0


def errors(a: Answers) -> dict[str, np.ndarray]:
    """Returns |requested - obtained| for each property, in its unit."""
    return {name: np.abs(asked_N - _obtained(a, name)) for name, asked_N in (a.conditions or {}).items()}


def errors_shuffled(a: Answers) -> dict[str, np.ndarray]:
    """Returns the errors against the requests of other rows: those of a model that ignores its conditions."""
    order_N = np.random.default_rng(SHUFFLE_SEED).permutation(len(a))
    asked = {name: asked_N[order_N] for name, asked_N in (a.conditions or {}).items()}
    return {name: np.abs(asked_N - _obtained(a, name)) for name, asked_N in asked.items()}


def mean_error(a: Answers) -> np.ndarray:
    """Returns the mean over properties of the error, in standard deviations of the requested values (no unit).

    Properties with the same requested value in every row are left out. Properties that a row did not request do not
    count for it.
    """
    return _relative(a, errors(a))


def mean_error_shuffled(a: Answers) -> np.ndarray:
    """Returns the mean error as `mean_error`, against the requests of other rows."""
    return _relative(a, errors_shuffled(a))


def _relative(a: Answers, found: dict[str, np.ndarray]) -> np.ndarray:
    """Errors divided by the standard deviation of all requested values, averaged over properties, for each row."""
    relative = [found[name] / deviation for name, deviation in _deviations(a).items()]
    if not relative:
        return np.full(len(a), np.nan)
    stacked = np.stack(relative)
    known = ~np.isnan(stacked)
    counts_N = known.sum(axis=0)
    sums_N = np.where(known, stacked, 0.0).sum(axis=0)
    return np.divide(sums_N, counts_N, out=np.full(len(a), np.nan), where=counts_N > 0)


def _deviations(a: Answers) -> dict[str, float]:
    """Standard deviation of the requested values, by property; only properties that vary."""
    asked = {name: asked_N[~np.isnan(asked_N)] for name, asked_N in (a.conditions or {}).items()}
    return {name: float(known.std()) for name, known in asked.items() if len(known) and np.ptp(known) > 0}


def _obtained(a: Answers, name: str) -> np.ndarray:
    return np.array([property_or_nan(text, name) for text in a.answer_N], dtype=np.float64)

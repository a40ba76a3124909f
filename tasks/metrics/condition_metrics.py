"""Did generated molecules get the properties that were asked for? Row by row: float64 [N], NaN for no molecule.

Properties are computed from the molecule (`mammal.tasks.molecules.properties`), so that what is obtained is known
exactly.

Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

import numpy as np

from mammal.tasks.metrics.answers import Answers
from mammal.tasks.molecules.properties import property_or_nan

SHUFFLE_SEED = 0


def errors(a: Answers) -> dict[str, np.ndarray]:
    """|asked - obtained| of each property, in its unit."""
    return {name: np.abs(asked_N - _obtained(a, name)) for name, asked_N in (a.conditions or {}).items()}


def errors_shuffled(a: Answers) -> dict[str, np.ndarray]:
    """The same of what other rows asked for: what a model gives that pays no heed to its conditions."""
    order_N = np.random.default_rng(SHUFFLE_SEED).permutation(len(a))
    asked = {name: asked_N[order_N] for name, asked_N in (a.conditions or {}).items()}
    return {name: np.abs(asked_N - _obtained(a, name)) for name, asked_N in asked.items()}


def mean_error(a: Answers) -> np.ndarray:
    """Mean over properties of the error in standard deviations of what was asked, which has no unit.

    Properties that were asked alike in every row are left out. What a row did not ask for does not count.
    """
    return _relative(a, errors(a))


def mean_error_shuffled(a: Answers) -> np.ndarray:
    """The same of what other rows asked for."""
    return _relative(a, errors_shuffled(a))


def _relative(a: Answers, found: dict[str, np.ndarray]) -> np.ndarray:
    """The errors of each row, each over the standard deviation of what all rows asked for, averaged over properties."""
    relative = [found[name] / deviation for name, deviation in _deviations(a).items()]
    if not relative:
        return np.full(len(a), np.nan)
    stacked = np.stack(relative)
    known = ~np.isnan(stacked)
    counts_N = known.sum(axis=0)
    sums_N = np.where(known, stacked, 0.0).sum(axis=0)
    return np.divide(sums_N, counts_N, out=np.full(len(a), np.nan), where=counts_N > 0)


def _deviations(a: Answers) -> dict[str, float]:
    """Of what was asked, by property; those that vary."""
    asked = {name: asked_N[~np.isnan(asked_N)] for name, asked_N in (a.conditions or {}).items()}
    return {name: float(known.std()) for name, known in asked.items() if len(known) and np.ptp(known) > 0}


def _obtained(a: Answers, name: str) -> np.ndarray:
    return np.array([property_or_nan(text, name) for text in a.answer_N], dtype=np.float64)

"""Chooses the settings of tuned baselines on the validation rows, one stage of a small grid after another.

Test rows are never seen here. A setting replaces an earlier one only if it is better, so that ties keep the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

Settings = Mapping[str, float]
"""Name of a hyper-parameter -> its value."""

Judge = Callable[[np.ndarray, np.ndarray], float]
"""(predictions of the validation rows, classes of their columns) -> a figure, higher is better, NaN if undefined.

Predictions are values [N] with no classes, or probabilities [N, C] with the C classes that the training rows have.
"""

Model = TypeVar("Model")


def search_settings(
    first: Settings, stages: Sequence[Sequence[Settings]], attempt: Callable[[Settings], tuple[float, Model]]
) -> tuple[Settings, Model]:
    """Tries settings stage by stage; each stage changes the best settings found so far.

    Args:
        first: settings to start with. They are kept if the figure is undefined.
        stages: for each stage, the changes that are tried.
        attempt: function from settings to (figure on the validation rows, fitted model).

    Returns:
        The best settings and their model.
    """
    best, (figure, model) = first, attempt(first)
    if np.isnan(figure):
        return best, model
    for changes in stages:
        start = best
        for change in changes:
            settings = {**start, **change}
            if settings == start:
                continue
            found, fitted = attempt(settings)
            if found > figure:
                best, figure, model = settings, found, fitted
    return best, model


def sampled(rows: int, most: int) -> np.ndarray:
    """Returns the numbers of all rows, or of `most` of them, sampled with a fixed seed, in ascending order, int64.

    Args:
        rows: number of rows.
        most: maximum number of rows that are kept.
    """
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


def settings_in_words(settings: Settings, used: int, rows: int, chosen: bool) -> str:
    """Returns one line about a fitted model: its settings, and the number of training rows if it did not use all.

    Args:
        settings: the settings.
        used: number of training rows that were used.
        rows: number of training rows.
        chosen: whether the settings were chosen on validation rows.
    """
    words = " ".join(f"{name}={value:g}" for name, value in settings.items())
    default = "" if chosen else "no choice on validation rows: "
    return f"{default}{words}" + (f"; {used:,} of {rows:,} training rows" if used < rows else "")

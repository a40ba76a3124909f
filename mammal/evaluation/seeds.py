"""Combines several runs of one task: the mean over seeds, its spread, and the comparison with baselines.

Runs can only be combined if they evaluated the same rows: equal task, part, hash of the split and number of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan, nan, sqrt

import numpy as np

from mammal.errors import DataError
from mammal.evaluation.results import OURS, Contender, Estimate, TaskResult

CONFIDENCE = 0.95
_SAME_ROWS = "runs can only be combined if they evaluated the same rows"


def combine(results: Mapping[str, TaskResult]) -> TaskResult:
    """Combines the runs of a task: the mean of each model and baseline over seeds, with a t-interval.

    Args:
        results: name of a run -> its result.

    Returns:
        The combined result. Answers, reliability and everything else that belongs to a single run are those of the
        first run.

    Raises:
        DataError: the runs evaluated different rows.
    """
    (first_name, first), *others = results.items()
    for name, result in others:
        for what in ("task", "part", "split_hash"):
            ours, theirs = getattr(first, what), getattr(result, what)
            if ours != theirs:
                raise DataError(
                    f"{what.replace('_', ' ')} {theirs[:12]} is not the {ours[:12]} of {first_name}",
                    where=name,
                    hint=_SAME_ROWS,
                )
        if (theirs_rows := result.rows[result.part]) != (our_rows := first.rows[first.part]):
            what = f"{theirs_rows:,} rows were evaluated, not the {our_rows:,} of {first_name}"
            raise DataError(what, where=name, hint=_SAME_ROWS)
    names = list(dict.fromkeys(c.name for result in results.values() for c in result.contenders))
    contenders = [_over_seeds(name, results) for name in names]
    return replace(first, contenders=contenders, intervals="seeds")


def estimate_over_seeds(values: Sequence[float]) -> Estimate:
    """Mean, standard deviation (n - 1) and the 95 % interval of the mean by Student's t.

    The interval covers only the variation between seeds, not the variation between samples of test rows.

    Args:
        values: one value for each seed; NaN is ignored.

    Returns:
        The estimate; interval and standard deviation are NaN if there is only one value.
    """
    known = np.array([value for value in values if not isnan(value)])
    if len(known) < 2:
        return Estimate(float(known[0]) if len(known) else nan, nan, nan)
    from scipy.stats import t

    mean, sd = float(known.mean()), float(known.std(ddof=1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(known) - 1)) * sd / sqrt(len(known))
    return Estimate(mean, mean - half, mean + half, sd)


def standing(ours: Estimate, other: Estimate, *, higher_is_better: bool) -> str:
    """Compares the model with a baseline.

    Args:
        ours: estimate of the model.
        other: estimate of the baseline.
        higher_is_better: whether a higher value of the metric is better.

    Returns:
        `level` if the means differ by at most one pooled standard deviation, sqrt((sd² + sd²) / 2); else `ahead` or
        `behind`. Empty if one of the two has no standard deviation over seeds.
    """
    if isnan(ours.sd) or isnan(other.sd):
        return ""
    pooled = sqrt((ours.sd**2 + other.sd**2) / 2)
    apart = ours.value - other.value if higher_is_better else other.value - ours.value
    return "level" if abs(apart) <= pooled else "ahead" if apart > 0 else "behind"


def _over_seeds(name: str, results: Mapping[str, TaskResult]) -> Contender:
    """A model or baseline over all runs that contain it. A seed of a baseline counts once, if several runs used it."""
    by_seed: dict[str, Mapping[str, float]] = {}
    seconds, valid, notes = [], [], []
    for run, result in results.items():
        for contender in result.contenders:
            if contender.name == name:
                seconds.append(contender.seconds)
                valid.append(contender.valid)
                notes.append(contender.note)
                once = {run: {metric: e.value for metric, e in contender.estimates.items()}}
                by_seed = {**(once if name == OURS else contender.by_seed or once), **by_seed}
    metrics = list(dict.fromkeys(metric for values in by_seed.values() for metric in values))
    estimates = {m: estimate_over_seeds([values.get(m, nan) for values in by_seed.values()]) for m in metrics}
    known = [value for value in valid if not isnan(value)]
    on_valid = float(np.mean(known)) if known else nan
    return Contender(name, estimates, float(np.mean(seconds)), by_seed, on_valid, next(filter(None, notes), ""))

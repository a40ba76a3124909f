"""Several runs of one task: the mean over seeds, its spread, and whether we are ahead of a baseline.

Runs are only put together when they judged the same rows: equal task, part, hash of the split and number of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan, nan, sqrt

import numpy as np

from mammal.errors import DataError
from mammal.evaluation.results import OURS, Contender, Estimate, TaskResult

CONFIDENCE = 0.95
_SAME_ROWS = "runs can only be put together when they judged the same rows"


def combine(results: Mapping[str, TaskResult]) -> TaskResult:
    """One result of the runs of a task: each contender's mean over seeds with a t-interval.

    Answers, reliability and what else belongs to one run are those of the first.

    Args:
        results: name of a run -> what it found.

    Raises:
        DataError: the runs judged different rows.
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
            what = f"{theirs_rows:,} rows were judged, not the {our_rows:,} of {first_name}"
            raise DataError(what, where=name, hint=_SAME_ROWS)
    names = list(dict.fromkeys(c.name for result in results.values() for c in result.contenders))
    contenders = [_over_seeds(name, results) for name in names]
    return replace(first, contenders=contenders, intervals="seeds")


def estimate_over_seeds(values: Sequence[float]) -> Estimate:
    """Mean, standard deviation (n - 1) and the 95 % interval of the mean by Student's t; NaN for what one value lacks.

    The interval holds for seeds alone: it says nothing of how another draw of test rows would change the figure.
    """
    known = np.array([value for value in values if not isnan(value)])
    if len(known) < 2:
        return Estimate(float(known[0]) if len(known) else nan, nan, nan)
    from scipy.stats import t

    mean, sd = float(known.mean()), float(known.std(ddof=1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(known) - 1)) * sd / sqrt(len(known))
    return Estimate(mean, mean - half, mean + half, sd)


def standing(ours: Estimate, other: Estimate, *, higher_is_better: bool) -> str:
    """`ahead`, `behind`, or `level`: means within one pooled standard deviation, sqrt((sd² + sd²) / 2).

    Empty where either has no spread over seeds.
    """
    if isnan(ours.sd) or isnan(other.sd):
        return ""
    pooled = sqrt((ours.sd**2 + other.sd**2) / 2)
    apart = ours.value - other.value if higher_is_better else other.value - ours.value
    return "level" if abs(apart) <= pooled else "ahead" if apart > 0 else "behind"


def _over_seeds(name: str, results: Mapping[str, TaskResult]) -> Contender:
    """A contender over every run that has it; a baseline's seeds count once, whichever runs fitted them."""
    by_seed: dict[str, Mapping[str, float]] = {}
    seconds = []
    for run, result in results.items():
        for contender in result.contenders:
            if contender.name == name:
                seconds.append(contender.seconds)
                once = {run: {metric: e.value for metric, e in contender.estimates.items()}}
                by_seed = {**(once if name == OURS else contender.by_seed or once), **by_seed}
    metrics = list(dict.fromkeys(metric for values in by_seed.values() for metric in values))
    estimates = {m: estimate_over_seeds([values.get(m, nan) for values in by_seed.values()]) for m in metrics}
    return Contender(name, estimates, float(np.mean(seconds)), by_seed)

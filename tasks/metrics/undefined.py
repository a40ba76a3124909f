"""Figures that have no value, in words: every place that prints figures says so in the same way, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

UNDEFINED = "undefined"

_TRUTHS_VARY = "true values that differ between rows"
_BOTH_VARY = "true values and predictions that differ between rows"
_TWO_CLASSES = "rows of at least two classes"
_PACKAGE = "a package or molecules that are missing"
_OTHER = "rows that it can be computed on"
_NEEDS = {
    **dict.fromkeys(("pearson", "spearman", "consistency_pearson"), _BOTH_VARY),
    **dict.fromkeys(("r2", "nrmse", "ci", "explained_variance"), _TRUTHS_VARY),
    **dict.fromkeys(("rmse_log10", "r2_log10"), "true values and predictions above 0"),
    **dict.fromkeys(("auroc", "auprc", "mcc"), _TWO_CLASSES),
    "bit_average_precision": "bits that differ between rows",
    **dict.fromkeys(("fcd", "pseudo_perplexity", "antibody_pseudo_perplexity"), _PACKAGE),
}


def what_it_needs(metric: str) -> str:
    """What was missing where a metric has no value.

    Args:
        metric: its name; `METRIC/COLUMN` is the metric of one target column.
    """
    return _NEEDS.get(metric.partition("/")[0], _OTHER)


def undefined_note(metrics: Iterable[str]) -> str:
    """A sentence about metrics that have no value for some model or baseline; empty if there are none.

    Args:
        metrics: their names.
    """
    by_need: dict[str, list[str]] = {}
    for metric in dict.fromkeys(metrics):
        by_need.setdefault(what_it_needs(metric), []).append(metric)
    parts = [f"{' and '.join(names)}: needs {need}" for need, names in by_need.items()]
    return f"{UNDEFINED.capitalize()}: {'; '.join(parts)}." if parts else ""


def estimate_text(figure: Sequence[Any], shown: Callable[[Any], str]) -> str:
    """A figure with its interval, as files hold them: None where there is no number.

    Args:
        figure: value, lower and upper bound of its interval.
        shown: writes one number.
    """
    value, low, high = figure
    if value is None:
        return UNDEFINED
    return shown(value) if low is None or high is None else f"{shown(value)} ({shown(low)} to {shown(high)})"


def is_estimate(value: Any) -> bool:
    """Whether this is a figure with its interval: three numbers, or None in place of some."""
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and all(part is None or (isinstance(part, int | float) and not isinstance(part, bool)) for part in value)
    )

"""Whether generated molecules are of the usual size: heavy atoms, molecular weight and synthetic accessibility.

A valid SMILES is any string that RDKit reads as a molecule: methane is valid, and so is a chain of thirty carbons.
These figures show whether the molecules look like those that a model was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mammal.tasks.molecule_sets.summary import Summary

TYPICAL = ("heavy_atoms", "mw", "sa")
"""Properties that are compared, by their names in `mammal.tasks.molecule_sets.describe.SHOWN`."""

TAIL = 0.5
"""Percentile of the training molecules that lies beyond each end of their range: it holds the central 99 %."""

Ranges = Mapping[str, tuple[float, float]]
"""For each property, its lowest and its highest typical value."""


def typical_ranges(training: Summary | None) -> dict[str, tuple[float, float]]:
    """Finds the range of each property that holds the central 99 % of the training molecules.

    Args:
        training: summary of the training molecules, or of a sample of them; None: unknown.

    Returns:
        For each property, (low, high), which are values of training molecules. Empty if there is no such molecule.
    """
    if training is None or not len(training):
        return {}
    return {name: _central(training.properties[name]) for name in TYPICAL}


def typical_figures(summary: Summary, ranges: Ranges) -> dict[str, float]:
    """Computes the median of each property, and the share of the molecules that lie in the ranges.

    Args:
        summary: summary of the valid molecules.
        ranges: result of `typical_ranges`; empty: no shares.

    Returns:
        `median_NAME`; with ranges also `in_range` (of all at once) and `in_range_NAME`. NaN without molecules.
    """
    values = {name: summary.properties[name] for name in TYPICAL}
    figures = {f"median_{name}": float(np.median(v_N)) if len(v_N) else float("nan") for name, v_N in values.items()}
    if not ranges:
        return figures
    inside = {name: (values[name] >= low) & (values[name] <= high) for name, (low, high) in ranges.items()}
    figures["in_range"] = _share(np.logical_and.reduce(list(inside.values())))
    return figures | {f"in_range_{name}": _share(inside_N) for name, inside_N in inside.items()}


def _central(values_N: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values_N, TAIL, method="lower"), np.percentile(values_N, 100 - TAIL, method="higher")
    return float(low), float(high)


def _share(inside_N: np.ndarray) -> float:
    return float(inside_N.mean()) if len(inside_N) else float("nan")

"""`{smiles:descriptors}`: the RDKit descriptors of a molecule, standardised on the training rows.

Each descriptor is mapped to the normal score of its rank among the training molecules (rank-based inverse normal
transform, Blom 1958). The mapping is piecewise linear between `KNOTS` quantiles and constant beyond the outermost two.
Many descriptors are counts, have heavy tails or are nearly constant; with ranks, small models had lower errors than
with mean and standard deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tasks.features.feature import Feature
from mammal.tasks.features.rdkit_names import NAMES
from mammal.tasks.molecules.chemistry import parse

KNOTS = np.linspace(-2.5, 2.5, 21)
"""Normal scores at which the quantiles of a descriptor are stored: 0.6 % to 99.4 % of the training molecules."""


class Descriptors(Feature):
    """The descriptors of `NAMES` as normal scores in [-2.5, 2.5]; 0, the median, if RDKit gives no value."""

    name = "descriptors"

    def __init__(self) -> None:
        self.quantiles_FK: np.ndarray | None = None

    @property
    def width(self) -> int:
        return len(NAMES)

    @property
    def is_fitted(self) -> bool:
        return self.quantiles_FK is not None

    def fit(self, texts: Sequence[str]) -> None:
        """Fits the quantiles on the molecules that RDKit can parse; a descriptor without any value is always 0.

        Quantiles are stored without rounding. A rounded quantile would differ from the values that it was computed
        from, so a value that is equal to several quantiles would get the score of one end instead of the middle.
        """
        from scipy.stats import norm

        values_NF = np.array([descriptors(text) for text in texts]).reshape(len(texts), len(NAMES))
        known_NF = np.isfinite(values_NF)
        levels_K = norm.cdf(KNOTS)
        rows = [
            np.quantile(values[known], levels_K) if known.any() else np.zeros(len(KNOTS))
            for values, known in zip(values_NF.T, known_NF.T, strict=True)
        ]
        self.quantiles_FK = np.array(rows)

    def of(self, text: str) -> np.ndarray:
        assert self.quantiles_FK is not None, "the task checks that its features are fitted"
        return normal_scores(np.array(descriptors(text)), self.quantiles_FK)

    def state(self) -> dict[str, Any]:
        """Returns the quantiles by name; empty before they are fitted."""
        if self.quantiles_FK is None:
            return {}
        return {name: row.tolist() for name, row in zip(NAMES, self.quantiles_FK, strict=True)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned.

        Raises:
            TaskError: the state has other descriptors, because another version of this package wrote it.
        """
        if tuple(state) != NAMES:
            what = f"the stored {len(state)} descriptors are not the {len(NAMES)} of this version"
            raise TaskError(what, hint="use the version that trained the bundle, or train it anew")
        self.quantiles_FK = np.array([list(map(float, row)) for row in state.values()])


def normal_scores(values_F: np.ndarray, quantiles_FK: np.ndarray) -> np.ndarray:
    """Returns the normal scores of values, float32 [F], 0 for NaN.

    A value that is equal to several quantiles (as a count can be) gets the middle of their scores.

    Args:
        values_F: the values of F descriptors.
        quantiles_FK: their quantiles at the K scores of `KNOTS`.
    """
    last = quantiles_FK.shape[1] - 1
    below_F = (quantiles_FK < values_F[:, None]).sum(axis=1)
    upto_F = (quantiles_FK <= values_F[:, None]).sum(axis=1)
    rows = np.arange(len(values_F))
    left_F, right_F = np.clip(below_F - 1, 0, last), np.clip(below_F, 0, last)
    low_F, high_F = quantiles_FK[rows, left_F], quantiles_FK[rows, right_F]
    gap_F = np.where(high_F > low_F, high_F - low_F, 1.0)
    with np.errstate(invalid="ignore"):
        share_F = np.clip((values_F - low_F) / gap_F, 0.0, 1.0)
    between_F = KNOTS[left_F] + share_F * (KNOTS[right_F] - KNOTS[left_F])
    shared_F = (KNOTS[np.clip(below_F, 0, last)] + KNOTS[np.clip(upto_F - 1, 0, last)]) / 2
    scores_F = np.where(upto_F > below_F, shared_F, between_F)
    return np.where(np.isfinite(values_F), scores_F, 0.0).astype(np.float32)


@lru_cache(maxsize=1 << 15)
def descriptors(smiles: str) -> tuple[float, ...]:
    """Returns the descriptors of one molecule in the order of `NAMES`; all NaN if RDKit can't parse it."""
    from rdkit import rdBase

    molecule = parse(smiles)
    if molecule is None:
        return (float("nan"),) * len(NAMES)
    with rdBase.BlockLogs():
        return tuple(_value(function, molecule) for function in _functions())


@cache
def _functions() -> tuple[Callable[[Any], float], ...]:
    from rdkit.Chem.Descriptors import descList

    known = dict(descList)
    return tuple(known[name] for name in NAMES)


def _value(function: Callable[[Any], float], molecule: Any) -> float:
    try:
        return float(function(molecule))
    except (ValueError, RuntimeError, ArithmeticError):  # not defined for this molecule
        return float("nan")

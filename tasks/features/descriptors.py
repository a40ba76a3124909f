"""`{smiles:descriptors}`: the RDKit descriptors of a molecule, standardised on the training rows.

Each descriptor is mapped to the normal score of its rank among the training molecules (the rank-based inverse normal
transform: Blom 1958), piecewise linearly between `KNOTS` quantiles and flat beyond the outermost two. Descriptors are
counts, heavy tails and near-constants; scores by rank gave small models lower errors than mean and deviation did.
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
"""Normal scores at which a descriptor's quantiles are kept: 0.6 % to 99.4 % of the training molecules."""


class Descriptors(Feature):
    """The numbers of `NAMES` as normal scores in [-2.5, 2.5]; 0, the median, where RDKit gives none."""

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
        """Quantiles over the molecules that RDKit can parse; a descriptor without any number is 0 everywhere.

        They are kept to the last digit: a rounded quantile would no longer equal the values that it was taken from, and
        what is shared by several quantiles would get the score of one side of them.
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
        """Quantiles by name; empty before they are fitted."""
        if self.quantiles_FK is None:
            return {}
        return {name: row.tolist() for name, row in zip(NAMES, self.quantiles_FK, strict=True)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave.

        Raises:
            TaskError: it holds other descriptors, as another version of this package computed them.
        """
        if tuple(state) != NAMES:
            what = f"the stored {len(state)} descriptors are not the {len(NAMES)} of this version"
            raise TaskError(what, hint="use the version that trained the bundle, or train it anew")
        self.quantiles_FK = np.array([list(map(float, row)) for row in state.values()])


def normal_scores(values_F: np.ndarray, quantiles_FK: np.ndarray) -> np.ndarray:
    """float32 [F] scores of values between their quantiles, 0 for what is no number.

    A value that several quantiles share (a count, say) gets the middle of their scores.
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
    """The descriptors of one molecule in the order of `NAMES`, NaN throughout where RDKit can't parse it."""
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

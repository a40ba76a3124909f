"""`{smiles:descriptors}`: the RDKit descriptors of a molecule, standardised on the training rows.

Each descriptor is mapped to the normal score of its rank among the training molecules (rank-based inverse normal
transform, Blom 1958). The mapping is piecewise linear between `KNOTS` quantiles and constant beyond the outermost two.
Many descriptors are counts, have heavy tails or are nearly constant; with ranks, small models had lower errors than
with mean and standard deviation.

As a target, a descriptor that is nearly constant among the training molecules is not predicted: its scale would be
that of a few molecules, and errors on others would have no meaning.

Shapes: N molecules, F descriptors, K knots.
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


FEWEST = 20
"""A target descriptor is predicted if at least so many training molecules differ from its most common value."""

_UNPREDICTED = "not_predicted"
"""Key of the state that lists the nearly constant descriptors of a target."""


class Descriptors(Feature):
    """The descriptors of `NAMES` as normal scores in [-2.5, 2.5]; 0, the median, if RDKit gives no value.

    Attributes:
        quantiles_FK: values of the descriptors at the scores of `KNOTS`; None before they are fitted.
        predicted_F: as a target: which descriptors are predicted, bool; None if it was not fitted as a target.
    """

    name = "descriptors"
    scaled_target = True
    of_molecules = True

    def __init__(self) -> None:
        self.quantiles_FK: np.ndarray | None = None
        self.predicted_F: np.ndarray | None = None

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
        self._fit_quantiles(np.array([descriptors(text) for text in texts]).reshape(len(texts), len(NAMES)))

    def _fit_quantiles(self, values_NF: np.ndarray) -> None:
        from scipy.stats import norm

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

    def values(self, text: str) -> np.ndarray:
        return np.array(descriptors(text))

    def fit_target(self, values_NF: np.ndarray) -> None:
        """Fits the quantiles, and leaves out descriptors with fewer than `FEWEST` molecules off the common value."""
        self._fit_quantiles(values_NF)
        self.predicted_F = np.array([_off_the_common_value(values_N) >= FEWEST for values_N in values_NF.T])

    def target(self, values_F: np.ndarray) -> np.ndarray:
        assert self.quantiles_FK is not None, "the task checks that its features are fitted"
        scores_F = normal_scores(values_F, self.quantiles_FK)
        return np.where(np.isfinite(values_F) & self._is_predicted_F, scores_F, np.nan).astype(np.float32)

    def original(self, predicted_F: np.ndarray) -> np.ndarray:
        """Returns the values of descriptors at predicted scores, in their own units; NaN for those left out."""
        assert self.quantiles_FK is not None, "the task checks that its features are fitted"
        pairs = zip(predicted_F, self.quantiles_FK, strict=True)
        values_F = np.array([np.interp(score, KNOTS, quantiles_K) for score, quantiles_K in pairs])
        return np.where(self._is_predicted_F, values_F, np.nan).astype(np.float32)

    @property
    def _is_predicted_F(self) -> np.ndarray:
        return np.ones(len(NAMES), dtype=bool) if self.predicted_F is None else self.predicted_F

    def state(self) -> dict[str, Any]:
        """Returns the quantiles by name, and for a target the descriptors left out; empty before they are fitted."""
        if self.quantiles_FK is None:
            return {}
        stored: dict[str, Any] = {name: row.tolist() for name, row in zip(NAMES, self.quantiles_FK, strict=True)}
        if self.predicted_F is not None:
            stored[_UNPREDICTED] = [name for name, kept in zip(NAMES, self.predicted_F, strict=True) if not kept]
        return stored

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned.

        Raises:
            TaskError: the state has other descriptors, because another version of this package wrote it.
        """
        quantiles = {name: row for name, row in state.items() if name != _UNPREDICTED}
        if tuple(quantiles) != NAMES:
            what = f"the stored {len(quantiles)} descriptors are not the {len(NAMES)} of this version"
            raise TaskError(what, hint="use the version that trained the bundle, or train it anew")
        self.quantiles_FK = np.array([list(map(float, row)) for row in quantiles.values()])
        left_out = state.get(_UNPREDICTED)
        self.predicted_F = None if left_out is None else np.array([name not in left_out for name in NAMES])


def _off_the_common_value(values_N: np.ndarray) -> int:
    """Number of known values that differ from the most common one."""
    known_N = values_N[np.isfinite(values_N)]
    return int(len(known_N) - np.unique(known_N, return_counts=True)[1].max()) if len(known_N) else 0


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

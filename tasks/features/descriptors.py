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

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.features.descriptor_cache import DescriptorCache, Values, cache_file
from mammal.tasks.features.feature import Feature, Progress
from mammal.tasks.features.rdkit_names import NAMES
from mammal.tasks.features.shared_parts import qed, with_estate_indices
from mammal.tasks.molecules.chemistry import parse_smiles

logger = logging.getLogger(__name__)

LARGEST_MOLECULE = 500
"""Largest number of atoms, without hydrogens, of a molecule that has descriptors. Their time grows with the cube of
this number: 0.1 s for 200 atoms, 1 s for 500, 7 s for 1,000."""

CHUNK = 200
"""Number of molecules after which progress is reported and values are stored."""

IN_MEMORY = 1 << 15
"""Largest number of molecules whose values are kept in memory."""

LOG_SECONDS = 10.0

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
        self._fit_quantiles(np.array(descriptors_of(texts)).reshape(len(texts), len(NAMES)))

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
        """Returns the normal scores of a molecule, float32 [width].

        Raises:
            DataError: the molecule has more than `LARGEST_MOLECULE` atoms.
        """
        assert self.quantiles_FK is not None, "the task checks that its features are fitted"
        values_F = np.array(descriptors(text))
        if np.isnan(values_F).all():
            check_size(text)
        return normal_scores(values_F, self.quantiles_FK)

    def compute(self, texts: Sequence[str], progress: Progress | None = None) -> None:
        descriptors_of(texts, progress)

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
            raise TaskError(what, hint="use the version that trained the bundle, or train it again")
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


def descriptors(smiles: str) -> Values:
    """Returns the descriptors of one molecule, as `descriptors_of` does."""
    return descriptors_of([smiles])[0]


def descriptors_of(smiles: Sequence[str], progress: Progress | None = None) -> list[Values]:
    """Returns the descriptors of molecules. Values that are in memory or on disk are not computed again.

    Args:
        smiles: one SMILES for each molecule.
        progress: function that is called with the number of distinct molecules that were just finished. Default: the
            log says every ten seconds how many are finished.

    Returns:
        For each molecule its values in the order of `NAMES`. All are NaN if RDKit can't parse it, or if it has more
            than `LARGEST_MOLECULE` atoms.
    """
    distinct = list(dict.fromkeys(smiles))
    follow = _Logged(len(distinct)) if progress is None else progress
    found: dict[str, Values] = {}
    for start in range(0, len(distinct), CHUNK):
        chunk = distinct[start : start + CHUNK]
        found |= _known_or_computed(chunk)
        follow(len(chunk))
    return [found[text] for text in smiles]


def check_size(smiles: str) -> None:
    """Refuses a molecule whose descriptors would take too long.

    Raises:
        DataError: it has more than `LARGEST_MOLECULE` atoms.
    """
    molecule = parse_smiles(smiles)
    if molecule is not None and molecule.GetNumAtoms() > LARGEST_MOLECULE:
        what = f"{molecule.GetNumAtoms():,} atoms, and descriptors are computed for at most {LARGEST_MOLECULE}"
        raise DataError(what, hint="a task without {…:descriptors} reads such molecules")


class _Logged:
    """Logs how many molecules are finished."""

    def __init__(self, total: int):
        self.total, self.done, self.logged = total, 0, time.monotonic()

    def __call__(self, count: int) -> None:
        self.done += count
        if (now := time.monotonic()) - self.logged >= LOG_SECONDS and self.done < self.total:
            self.logged = now
            logger.info("descriptors of %s of %s molecules", f"{self.done:,}", f"{self.total:,}")


_in_memory: dict[str, Values] = {}


def _known_or_computed(texts: Sequence[str]) -> dict[str, Values]:
    """Values of some molecules, which are then in memory and on disk."""
    found = {text: _in_memory[text] for text in texts if text in _in_memory}
    if rest := [text for text in texts if text not in found]:
        file = cache_file()
        cache = None if file is None else _cache(file)
        stored = {} if cache is None else cache.read(rest)
        computed = {text: _computed(text) for text in rest if text not in stored}
        if cache is not None:
            cache.write({text: values for text, values in computed.items() if not np.isnan(values).all()})
        found |= stored | computed
        while len(_in_memory) + len(rest) > IN_MEMORY:
            _in_memory.pop(next(iter(_in_memory)))
        _in_memory.update(stored | computed)
    return found


@cache
def _cache(file: Path) -> DescriptorCache:
    return DescriptorCache(file, NAMES)


def _computed(smiles: str) -> Values:
    from rdkit import rdBase

    molecule = parse_smiles(smiles)
    if molecule is None or molecule.GetNumAtoms() > LARGEST_MOLECULE:
        return (float("nan"),) * len(NAMES)
    with rdBase.BlockLogs():
        with_estate_indices(molecule)
        return tuple(_value(function, molecule) for function in _functions())


@cache
def _functions() -> tuple[Callable[[Any], float], ...]:
    """The function of each descriptor. Those of the electrotopological state share one computation of its indices."""
    from rdkit.Chem.Descriptors import descList

    known = dict(descList) | {"qed": qed}
    return tuple(partial(known[name], force=False) if name in _OF_ONE_INDEX else known[name] for name in NAMES)


_OF_ONE_INDEX = ("MaxAbsEStateIndex", "MaxEStateIndex", "MinAbsEStateIndex", "MinEStateIndex")
"""Extremes of the indices of all atoms, which RDKit computes again for each of them unless `force` is false."""


def _value(function: Callable[[Any], float], molecule: Any) -> float:
    try:
        return float(function(molecule))
    except (ValueError, RuntimeError, ArithmeticError):  # not defined for this molecule
        return float("nan")

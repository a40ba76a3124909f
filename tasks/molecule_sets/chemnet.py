"""The Fréchet ChemNet distance of two sets of molecules (Preuer et al. 2018, doi 10.1021/acs.jcim.8b00234).

Activations are computed with the package `fcd` (extra `generation`), which contains the weights of ChemNet. The
distance is computed here, because the package's function calls `scipy.linalg.sqrtm` in a way that SciPy 1.18 rejects.

Shapes: N molecules, D = 512 activations.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from mammal.tasks.errors import DataError

logger = logging.getLogger(__name__)

ACTIVATIONS = 512
BATCH = 128
MANY = 20_000
"""Number of molecules from which on the log says that it takes a while."""
LONGEST = 349
"""Maximum number of characters of a SMILES. `fcd` pads all strings to 350 characters, end token included; one longer
string makes the padding of every string longer, which changes the activations of all of them."""


@dataclass(frozen=True)
class Moments:
    """Mean [D] and covariance [D, D] of the activations of a set with `count` molecules."""

    mean_D: np.ndarray
    covariance_DD: np.ndarray
    count: int


def moments(canonical: Sequence[str], *, device: str = "cpu") -> Moments | None:
    """Computes mean and covariance of the activations of a set.

    Args:
        canonical: canonical SMILES; those with more than `LONGEST` characters are left out (`count_too_long`).
        device: device on which ChemNet runs.

    Returns:
        The moments; None for fewer than two molecules, for which the covariance is not defined.

    Raises:
        DataError: `fcd` is not installed.
    """
    read = [smiles for smiles in canonical if len(smiles) <= LONGEST]
    if len(read) < 2:
        return None
    network, predictions = _chemnet()
    if len(read) >= MANY:
        logger.info("ChemNet reads %s molecules, some hundred a second on one core", f"{len(read):,}")
    # Sums instead of all activations, because a reference set may have millions of molecules.
    count, sum_D, products_DD = len(read), np.zeros(ACTIVATIONS), np.zeros((ACTIVATIONS, ACTIVATIONS))
    for start in range(0, count, 64 * BATCH):
        part_ND = predictions(network, read[start : start + 64 * BATCH], BATCH, 0, device).astype(np.float64)
        sum_D += part_ND.sum(axis=0)
        products_DD += part_ND.T @ part_ND
    mean_D = sum_D / count
    covariance_DD = (products_DD - count * np.outer(mean_D, mean_D)) / (count - 1)
    return Moments(mean_D, covariance_DD, count)


def count_too_long(canonical: Iterable[str]) -> int:
    """How many SMILES are left out of the distance because they are longer than `LONGEST`."""
    return sum(len(smiles) > LONGEST for smiles in canonical)


def frechet_distance(one: Moments, other: Moments) -> float:
    """Returns |m₁ - m₂|² + Tr(C₁ + C₂ - 2 (C₁ C₂)^½) of two normal distributions (Dowson & Landau 1982).

    It is 0 for equal distributions. The trace of the root is computed as the sum of the square roots of the eigenvalues
    of C₁^½ C₂ C₁^½. This matrix is symmetric, so singular covariances (fewer molecules than activations) can be used.
    """
    values_D, vectors_DD = np.linalg.eigh(one.covariance_DD)
    root_DD = (vectors_DD * np.sqrt(np.clip(values_D, 0.0, None))) @ vectors_DD.T
    shared_D = np.linalg.eigvalsh(root_DD @ other.covariance_DD @ root_DD)
    apart = float(((one.mean_D - other.mean_D) ** 2).sum())
    spread = float(np.trace(one.covariance_DD) + np.trace(other.covariance_DD))
    return max(0.0, apart + spread - 2.0 * float(np.sqrt(np.clip(shared_D, 0.0, None)).sum()))


def why_missing() -> DataError | None:
    """Returns the reason why the distance can't be computed here, None if it can."""
    from importlib.util import find_spec

    if find_spec("fcd") is not None:
        return None
    return DataError("the Fréchet ChemNet distance needs the package fcd", hint="pip install 'mammal[generation]'")


@cache
def _chemnet() -> tuple[Any, Any]:
    """ChemNet, and the function of `fcd` that computes its activations."""
    if (lacking := why_missing()) is not None:
        raise lacking
    from fcd import get_predictions, load_ref_model

    return load_ref_model(), get_predictions

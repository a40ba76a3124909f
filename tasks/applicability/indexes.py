"""Finds the nearest training rows of a row: by Tanimoto similarity of fingerprints, or by distance of vectors.

Shapes: N asked rows, M training rows, X bytes of a packed fingerprint, F bits, W width of the model, D numbers of a
projected state, K nearest rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mammal.tasks.tables.spread_rows import spread_rows

DIMENSIONS = 32
"""Numbers that are kept of a state."""

_SCALE_ROWS = 2_000
"""Largest number of training rows whose distance to their nearest neighbour gives the unit of distances."""

_CONSTANT = 1e-5
"""An entry whose standard deviation is below this share of its size is constant but for rounding, and is left out."""

_AT_ONCE = 1 << 22
"""Largest number of distances that are computed together; limits the memory."""


class FingerprintIndex:
    """Training molecules as fingerprints.

    A similarity is computed from the columns of the bits that the asked molecule has, about 45 of 1,024. For 10,000
    molecules this takes a quarter of the time of a matrix product (docs/trust.md).

    Args:
        bits_MX: packed fingerprints, uint8 [M, X].
    """

    def __init__(self, bits_MX: np.ndarray):
        self.bits_MX = bits_MX

    @cached_property
    def _columns_FM(self) -> np.ndarray:
        return np.ascontiguousarray(np.unpackbits(self.bits_MX, axis=1).T)

    @cached_property
    def _counts_M(self) -> np.ndarray:
        return self._columns_FM.sum(axis=0, dtype=np.float32)

    def nearest(self, asked_NX: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Returns the Tanimoto similarities of the nearest training rows, nearest first, and their positions.

        Args:
            asked_NX: packed fingerprints, uint8 [N, X].
            k: number of training rows; fewer are returned if there are fewer.

        Returns:
            float64 [N, K] and int64 [N, K].
        """
        k = min(k, len(self.bits_MX))
        similarity_NK, place_NK = np.zeros((len(asked_NX), k)), np.zeros((len(asked_NX), k), dtype=np.int64)
        for row, bits_F in enumerate(np.unpackbits(asked_NX, axis=1)):
            on = np.flatnonzero(bits_F)
            shared_M = self._columns_FM[on].sum(axis=0, dtype=np.uint8 if len(on) < 256 else np.uint16)
            shared_M = shared_M.astype(np.float32)
            of_all_M = shared_M / np.maximum(self._counts_M + np.float32(len(on)) - shared_M, np.float32(1))
            place_NK[row] = _largest(of_all_M, k)
            shared_K = shared_M[place_NK[row]].astype(np.float64)
            similarity_NK[row] = shared_K / np.maximum(self._counts_M[place_NK[row]] + len(on) - shared_K, 1)
        return similarity_NK, place_NK


@dataclass(frozen=True)
class Projection:
    """Projection of states to their principal components, after standardisation of each entry.

    Attributes:
        mean_W: means of the training rows, float32.
        weights_WD: standardisation and components in one matrix, float32.
    """

    mean_W: np.ndarray
    weights_WD: np.ndarray

    @classmethod
    def fit(cls, states_MW: np.ndarray, dimensions: int = DIMENSIONS) -> Projection:
        """Fits the projection.

        Args:
            states_MW: states of training rows, float.
            dimensions: number of components; at most W are kept.
        """
        exact_MW = states_MW.astype(np.float64)
        mean_W, std_W = exact_MW.mean(axis=0), exact_MW.std(axis=0)
        varies_W = std_W > _CONSTANT * (1 + np.abs(mean_W))
        inverse_W = np.where(varies_W, 1 / np.where(varies_W, std_W, 1), 0.0)
        z_MW = (exact_MW - mean_W) * inverse_W
        _, components_WW = np.linalg.eigh(z_MW.T @ z_MW)  # in ascending order of their variance
        components_WD = components_WW[:, ::-1][:, :dimensions]
        return cls(mean_W.astype(np.float32), (inverse_W[:, None] * components_WD).astype(np.float32))

    def apply(self, states_NW: np.ndarray) -> np.ndarray:
        """Returns the projected states, float32 [N, D].

        Args:
            states_NW: states, float.
        """
        return (states_NW.astype(np.float32) - self.mean_W) @ self.weights_WD


class StateIndex:
    """Training rows as projected states of the encoder. Similarity is 1 / (1 + distance / unit).

    Args:
        vectors_MD: projected states, float16 [M, D].
        unit: distance of similarity 1/2.
    """

    def __init__(self, vectors_MD: np.ndarray, unit: float):
        self.vectors_MD, self.unit = vectors_MD, unit

    @cached_property
    def _exact_MD(self) -> np.ndarray:
        return self.vectors_MD.astype(np.float32)

    @cached_property
    def _squares_M(self) -> np.ndarray:
        return (self._exact_MD**2).sum(axis=1)

    def nearest(self, asked_ND: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Returns the similarities of the nearest training rows, nearest first, and their positions.

        Args:
            asked_ND: projected states, float32 [N, D].
            k: number of training rows; fewer are returned if there are fewer.

        Returns:
            float64 [N, K] and int64 [N, K].
        """
        distance_NK, place_NK = self.distances(asked_ND, k)
        return 1 / (1 + distance_NK / self.unit), place_NK

    def distances(self, asked_ND: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the distances of the nearest training rows and their positions, as `nearest`.

        Args:
            asked_ND: as for `nearest`.
            k: as for `nearest`.
        """
        k, size = min(k, len(self.vectors_MD)), max(1, _AT_ONCE // max(1, len(self.vectors_MD)))
        places = [
            np.array([_largest(row_M, k) for row_M in 2 * part_ND @ self._exact_MD.T - self._squares_M])
            for part_ND in (asked_ND[start : start + size] for start in range(0, len(asked_ND), size))
        ]
        place_NK = np.concatenate(places) if places else np.zeros((0, k), dtype=np.int64)
        difference_NKD = asked_ND[:, None].astype(np.float64) - self._exact_MD[place_NK]
        return np.sqrt((difference_NKD**2).sum(axis=2)), place_NK


def distance_unit(vectors_MD: np.ndarray) -> float:
    """Returns the median distance between a training row and the nearest other one; 1 if that is 0 or unknown.

    Args:
        vectors_MD: projected states, float16 [M, D].
    """
    if len(vectors_MD) < 2:
        return 1.0
    asked_ND = vectors_MD[spread_rows(len(vectors_MD), _SCALE_ROWS)]
    distance_N2, _ = StateIndex(vectors_MD, 1.0).distances(asked_ND.astype(np.float32), 2)
    others_N = distance_N2[:, 1]
    apart_N = others_N[others_N > 0]
    return float(np.median(apart_N)) if len(apart_N) else 1.0


def _largest(values_M: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k largest values, largest first; of equal values the first ones."""
    return np.array([values_M.argmax()]) if k == 1 else np.argsort(-values_M, kind="stable")[:k]

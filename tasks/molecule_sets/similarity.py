"""Similarities between sets of molecules, and within a set.

Shapes: N molecules of a set, M of another, B bytes of packed fingerprints.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

BLOCK = 2_000
"""Number of molecules of each set that are compared at once: 16 MB of similarities."""


def nearest_neighbour(bits_NB: np.ndarray, others_MB: np.ndarray) -> float:
    """Returns SNN: the mean Tanimoto similarity to the nearest molecule of another set; NaN if a set is empty.

    Args:
        bits_NB: packed fingerprints of the set, uint8 [N, B].
        others_MB: packed fingerprints of the other set, uint8 [M, B].
    """
    if not len(bits_NB) or not len(others_MB):
        return float("nan")
    nearest = [
        np.max([block_NM.max(axis=1) for block_NM in blocks], axis=0) for blocks in _tanimoto(bits_NB, others_MB)
    ]
    return float(np.concatenate(nearest).mean())


def internal_diversity(bits_NB: np.ndarray, powers: tuple[int, ...] = (1, 2)) -> list[float]:
    """Returns IntDiv_p for each p: 1 minus the mean over molecules of (mean over the set of similarity^p)^(1/p).

    The similarity of a molecule to itself is included. As in MOSES' code, the root is taken for each molecule. In the
    formula of its paper, the root is taken of the mean over all pairs, which gives slightly less for p = 2. NaN for an
    empty set.

    Args:
        bits_NB: packed fingerprints of the set, uint8 [N, B].
        powers: the values of p.
    """
    if not len(bits_NB):
        return [float("nan")] * len(powers)
    sums: list[list[np.ndarray]] = [[] for _ in powers]
    for blocks in _tanimoto(bits_NB, bits_NB):
        row = [np.zeros(0)] * len(powers)
        for block_NM in blocks:
            for place, power in enumerate(powers):
                found_N = (block_NM**power).sum(axis=1, dtype=np.float64)
                row[place] = found_N if not len(row[place]) else row[place] + found_N
        for place, found_N in enumerate(row):
            sums[place].append(found_N)
    means = [np.concatenate(found) / len(bits_NB) for found in sums]
    return [1.0 - float((mean_N ** (1 / power)).mean()) for mean_N, power in zip(means, powers, strict=True)]


def cosine(one: Counter[str], other: Counter[str]) -> float:
    """Returns the cosine of two vectors of counts; NaN if one is empty."""
    if not one or not other:
        return float("nan")
    shared = sum(count * other[name] for name, count in one.items() if name in other)
    return shared / float(np.sqrt(_square(one)) * np.sqrt(_square(other)))


def _square(counts: Counter[str]) -> float:
    return float(sum(count * count for count in counts.values()))


def _tanimoto(bits_NB: np.ndarray, others_MB: np.ndarray) -> Iterator[Iterator[np.ndarray]]:
    """For each block of the first set, its similarities [N, M] to each block of the other, float32.

    Products of zeros and ones are exact in float32. Two molecules without any bit have similarity 1, as in MOSES.
    """

    def row(some_NF: np.ndarray) -> Iterator[np.ndarray]:
        counts_N = some_NF.sum(axis=1)
        for others_MF in _unpacked(others_MB):
            both_NM = some_NF @ others_MF.T
            either_NM = counts_N[:, None] + others_MF.sum(axis=1)[None, :] - both_NM
            yield np.divide(both_NM, either_NM, out=np.ones_like(both_NM), where=either_NM > 0)

    for some_NF in _unpacked(bits_NB):
        yield row(some_NF)


def _unpacked(bits_NB: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(bits_NB), BLOCK):
        yield np.unpackbits(bits_NB[start : start + BLOCK], axis=1).astype(np.float32)

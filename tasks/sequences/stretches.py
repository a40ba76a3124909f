"""Clusters of DNA sequences that share a stretch of bases and must not be divided between train and test.

Windows around neighbouring sites overlap, and copies of a repeat are nearly equal. If one of them is in train, part of
the answer for the other is known, so both must be in the same part. Shapes: N bases of all sequences, concatenated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WORD = 32
"""Number of bases in one 64-bit number, with two bits per base."""

_OTHER = 4
_MIX = np.uint64(0x9E3779B97F4A7C15)
_CODES = np.full(256, _OTHER, dtype=np.uint8)
for _code, _base in enumerate("ACGT"):
    _CODES[ord(_base)] = _CODES[ord(_base.lower())] = _code


def cluster_by_stretch(sequences: Sequence[str], length: int = WORD) -> np.ndarray:
    """Clusters sequences that share stretches of `length` consecutive bases on the same strand.

    Args:
        sequences: bases; stretches with characters other than A, C, G and T are ignored.
        length: number of bases, a multiple of 32.

    Returns:
        Cluster number of each sequence, int64. No stretch of this length occurs in two clusters.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    assert length % WORD == 0, "stretches are put together from words of 32 bases"
    rows_S, codes_S = _stretches(sequences, length)
    order = np.argsort(codes_S, kind="stable")
    rows_S, codes_S = rows_S[order], codes_S[order]
    same = (codes_S[1:] == codes_S[:-1]) & (rows_S[1:] != rows_S[:-1])
    first, second = rows_S[:-1][same], rows_S[1:][same]
    graph = coo_matrix((np.ones(len(first), dtype=np.int8), (first, second)), shape=(len(sequences),) * 2)
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _stretches(sequences: Sequence[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of S stretches, the number of its sequence, and a number that is the same for equal stretches."""
    bases_N = _CODES[np.frombuffer("N".join([*sequences, ""]).encode("ascii", "replace"), dtype=np.uint8)]
    rows_N = np.repeat(np.arange(len(sequences)), [len(text) + 1 for text in sequences])
    count = len(bases_N) - length + 1
    if count <= 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    others = np.concatenate([[0], np.cumsum(bases_N == _OTHER)])
    whole = others[length:] == others[:-length]
    words = bases_N.astype(np.uint64)
    for width in (1, 2, 4, 8, 16):  # two neighbouring stretches of this width form one of twice the width
        words = (words[:-width] << np.uint64(2 * width)) | words[width:]
    codes = np.zeros(count, dtype=np.uint64)
    for offset in range(0, length, WORD):
        codes = codes * _MIX + words[offset : offset + count]
    return rows_N[:count][whole], codes[whole]

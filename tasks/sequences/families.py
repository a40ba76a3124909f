"""Families of related sequences, for many thousands in seconds: single linkage over sketches of their k-mers.

`mammal.tasks.sequences.clusters` compares complete sets of 3-mers, of which any two proteins share hundreds. Here words
of five residues are compared, which unrelated proteins rarely share, and only the quarter of them with the lowest
hashes (FracMinHash, Irber et al. 2022). The Jaccard index of these sketches estimates that of the complete sets.
Sequences with a similarity near the threshold may be missed; sequences that agree in most positions are found.

Shapes: N sequences, P their distinct words, V different words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammal.tasks.sequences.clusters import PRODUCT, connected_clusters, jaccard_of

K = 5
SCALE = 4
"""One of this many words is kept."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: multiplicative hashing (Knuth, The Art of Computer Programming, 6.4)."""


def families(sequences: Sequence[str], identity: float) -> np.ndarray:
    """Groups sequences into families: sequences connected by a chain of similar ones.

    Args:
        sequences: residues or bases, upper case.
        identity: two sequences are similar if their words overlap at least as expected for this identity (Mash model,
            Ondov et al. 2016).

    Returns:
        Number of the family of each sequence, int64 [N].
    """
    from scipy.sparse import csr_matrix

    rows_P, words_P = _sketches(sequences)
    distinct_V, columns_P = np.unique(words_P, return_inverse=True)
    shape = (len(sequences), len(distinct_V))
    has_NV = csr_matrix((np.ones(len(rows_P), dtype=np.int32), (rows_P, columns_P)), shape=shape)
    sizes_N = np.bincount(rows_P, minlength=len(sequences))
    by_word_VN = has_NV.T.tocsr()
    threshold = jaccard_of(identity, K)
    family_N = np.arange(len(sequences))
    step = max(1, PRODUCT // max(1, len(sequences)))
    for first in range(0, len(sequences), step):
        shared = (has_NV[first : first + step] @ by_word_VN).tocoo()
        rows, others = shared.row + first, shared.col
        alike = shared.data >= threshold * (sizes_N[rows] + sizes_N[others] - shared.data)
        family_N = connected_clusters(family_N, rows[alike], others[alike])
    return family_N


def _sketches(sequences: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The distinct kept words of all sequences: number of the sequence and number of the word, both int64 [P]."""
    letters, digits = np.unique(np.frombuffer("".join(sequences).encode("latin-1"), np.uint8), return_inverse=True)
    base = len(letters)
    starts = max(0, len(digits) - K + 1)
    words = np.zeros(starts, dtype=np.int64)
    for place in range(K):
        words = words * base + digits[place : starts + place]
    owners = np.repeat(np.arange(len(sequences)), [len(text) for text in sequences])
    inside = owners[:starts] == owners[len(owners) - starts :]
    kept = inside & (_hashes(words) < np.uint64(2**64 // SCALE))
    pairs = np.sort(owners[:starts][kept] * base**K + words[kept])
    distinct = pairs[np.diff(pairs, prepend=-1) > 0]
    return distinct // base**K, distinct % base**K


def _hashes(words: np.ndarray) -> np.ndarray:
    mixed = words.astype(np.uint64) * _MIX
    return (mixed ^ (mixed >> np.uint64(32))) * _MIX

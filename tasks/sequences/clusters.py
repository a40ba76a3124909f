"""Clusters of similar sequences: by MMseqs2 if it is on the PATH, else by single linkage over shared k-mers.

Without MMseqs2, two sequences are similar if the Jaccard index of their 3-mer sets is at least that expected for the
requested identity under the Mash model (Ondov et al. 2016, eq. 4). Clusters are connected components: no sequence
outside a cluster is similar to one inside. All pairs are compared with products of sparse matrices, because the
thresholds of proteins are so low that locality-sensitive hashing would exclude few pairs. The time grows with the
square of the number of sequences: twenty seconds on one core for ten thousand proteins of 300 residues. Install MMseqs2
for a hundred thousand.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

K = 3
PRODUCT = 20_000_000
"""Maximum number of entries of a product of matrices in memory."""
COVERAGE = "0.8"
"""MMseqs2: share of both sequences that an alignment must cover."""


def cluster_sequences(sequences: Sequence[str], identity: float) -> tuple[np.ndarray, str]:
    """Clusters sequences.

    Args:
        sequences: N sequences.
        identity: minimum sequence identity, above 0 and at most 1.

    Returns:
        Cluster number of each sequence, int64 [N], and the name of the tool.
    """
    if not len(sequences):
        return np.zeros(0, dtype=np.int64), "nothing"
    if shutil.which("mmseqs"):
        return by_mmseqs(sequences, identity), "MMseqs2"
    return by_kmers(sequences, identity), f"{K}-mers"


def by_mmseqs(sequences: Sequence[str], identity: float) -> np.ndarray:
    """Clusters with `mmseqs easy-cluster` (Steinegger & Söding 2017) at a minimum sequence identity, int64 [N].

    Raises:
        DataError: MMseqs2 failed; the message contains its output.
    """
    with tempfile.TemporaryDirectory() as folder:
        fasta, out = Path(folder) / "in.fasta", Path(folder) / "out"
        fasta.write_text("".join(f">{i}\n{s}\n" for i, s in enumerate(sequences)), encoding="ascii")
        command = ["mmseqs", "easy-cluster", str(fasta), str(out), str(Path(folder) / "tmp")]
        command += ["--min-seq-id", str(identity), "-c", COVERAGE, "--cov-mode", "0", "-v", "1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DataError(f"mmseqs failed: {(done.stderr or done.stdout).strip()[-500:]}")
        pairs = [line.split("\t") for line in Path(f"{out}_cluster.tsv").read_text().splitlines()]
    labels = np.zeros(len(sequences), dtype=np.int64)
    for representative, member in pairs:
        labels[int(member)] = int(representative)
    return labels


def by_kmers(sequences: Sequence[str], identity: float) -> np.ndarray:
    """Returns connected components of sequences with similar k-mer sets, int64 [N].

    Shapes: U distinct sequences, V distinct k-mers.
    """
    unique = {text: number for number, text in enumerate(dict.fromkeys(sequences))}
    (has_UV,) = _kmer_matrices([list(unique)])
    cluster_U = np.arange(len(unique))
    for rows, others in _similar_pairs(has_UV, has_UV, identity):
        cluster_U = connected_clusters(cluster_U, rows, others)
    return cluster_U[[unique[text] for text in sequences]]


def connected_clusters(cluster_U: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Merges the clusters that are connected by pairs of sequences.

    Args:
        cluster_U: cluster of each sequence, int64 [U].
        rows: first sequence of each pair.
        others: second sequence of each pair.

    Returns:
        Cluster of each sequence, int64 [U].
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs = (np.ones(len(rows), dtype=np.int8), (cluster_U[rows], cluster_U[others]))
    merged = connected_components(coo_matrix(pairs, shape=(len(cluster_U), len(cluster_U))), directed=False)[1]
    return merged[cluster_U].astype(np.int64)


def jaccard_of(identity: float, k: int = K) -> float:
    """Returns the expected Jaccard index of k-mer sets at an identity: 1 / (2 exp(k (1 - identity)) - 1)."""
    return 1 / (2 * math.exp(k * (1 - identity)) - 1)


def _kmers(text: str) -> frozenset[str]:
    if len(text) <= K:
        return frozenset([text])
    return frozenset(text[i : i + K] for i in range(len(text) - K + 1))


def similar_to_any(sequences: Sequence[str], others: Sequence[str], identity: float) -> np.ndarray:
    """Whether each sequence is similar to one of the others, by the Jaccard index of their 3-mer sets, bool [N].

    Args:
        sequences: N sequences.
        others: M sequences.
        identity: minimum identity, above 0 and at most 1; see the top of this module.
    """
    alike_N = np.zeros(len(sequences), dtype=bool)
    if not len(sequences) or not len(others):
        return alike_N
    theirs_MV, ours_NV = _kmer_matrices([others, sequences])
    for rows, _ in _similar_pairs(ours_NV, theirs_MV, identity):
        alike_N[rows] = True
    return alike_N


def _kmer_matrices(groups: Sequence[Sequence[str]]) -> list[csr_matrix]:
    """For each group of texts, which k-mers each text contains, int32 [texts, V]; the groups have the same columns."""
    from scipy.sparse import csr_matrix

    columns: dict[str, int] = {}
    numbered = [
        [[columns.setdefault(kmer, len(columns)) for kmer in _kmers(text)] for text in texts] for texts in groups
    ]
    found = []
    for held in numbered:
        indices = np.concatenate([np.array(kmers) for kmers in held])
        starts = np.concatenate(([0], np.cumsum([len(kmers) for kmers in held], dtype=np.int64)))
        shape = (len(held), len(columns))
        found.append(csr_matrix((np.ones(len(indices), dtype=np.int32), indices, starts), shape=shape))
    return found


def _similar_pairs(
    has_NV: csr_matrix, other_MV: csr_matrix, identity: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of similar rows of two matrices of k-mers, block by block of the first."""
    threshold = jaccard_of(identity)
    sizes_N, sizes_M = np.diff(has_NV.indptr), np.diff(other_MV.indptr)
    step = max(1, PRODUCT // other_MV.shape[0])
    for first in range(0, has_NV.shape[0], step):
        shared = (has_NV[first : first + step] @ other_MV.T).tocoo()
        rows, others = shared.row + first, shared.col
        alike = shared.data >= threshold * (sizes_N[rows] + sizes_M[others] - shared.data)
        yield rows[alike], others[alike]

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
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mammal.tasks.errors import DataError

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
    from scipy.sparse import csr_matrix

    threshold = jaccard_of(identity)
    unique = {text: number for number, text in enumerate(dict.fromkeys(sequences))}
    columns: dict[str, int] = {}
    held = [[columns.setdefault(kmer, len(columns)) for kmer in _kmers(text)] for text in unique]
    sizes_U = np.array([len(kmers) for kmers in held], dtype=np.int64)
    indices, starts = np.concatenate([np.array(kmers) for kmers in held]), np.concatenate(([0], sizes_U.cumsum()))
    has_UV = csr_matrix((np.ones(len(indices), dtype=np.int32), indices, starts), shape=(len(unique), len(columns)))
    cluster_U = np.arange(len(unique))
    step = max(1, PRODUCT // len(unique))
    for first in range(0, len(unique), step):
        shared = (has_UV[first : first + step] @ has_UV.T).tocoo()
        rows, others = shared.row + first, shared.col
        alike = shared.data >= threshold * (sizes_U[rows] + sizes_U[others] - shared.data)
        cluster_U = connected_clusters(cluster_U, rows[alike], others[alike])
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
    from scipy.sparse import csr_matrix

    if not len(sequences) or not len(others):
        return np.zeros(len(sequences), dtype=bool)
    threshold = jaccard_of(identity)
    columns: dict[str, int] = {}

    def matrix(texts: Sequence[str]) -> tuple[csr_matrix, np.ndarray]:
        held = [[columns.setdefault(kmer, len(columns)) for kmer in _kmers(text)] for text in texts]
        sizes = np.array([len(kmers) for kmers in held], dtype=np.int64)
        indices, starts = np.concatenate([np.array(kmers) for kmers in held]), np.concatenate(([0], sizes.cumsum()))
        return csr_matrix((np.ones(len(indices), dtype=np.int32), indices, starts)), sizes

    theirs_MV, their_sizes_M = matrix(others)
    ours_NV, sizes_N = matrix(sequences)
    for one in (theirs_MV, ours_NV):
        one.resize((one.shape[0], len(columns)))
    alike_N = np.zeros(len(sequences), dtype=bool)
    step = max(1, PRODUCT // len(others))
    for first in range(0, len(sequences), step):
        shared = (ours_NV[first : first + step] @ theirs_MV.T).tocoo()
        rows, columns_M = shared.row + first, shared.col
        near = shared.data >= threshold * (sizes_N[rows] + their_sizes_M[columns_M] - shared.data)
        alike_N[rows[near]] = True
    return alike_N

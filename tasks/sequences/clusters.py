"""Sequences that are alike, as clusters: MMseqs2 where it is on the PATH, else single linkage over shared k-mers.

Without MMseqs2, two sequences are alike when the Jaccard index of their 3-mer sets reaches that of sequences with the
asked identity under the Mash model (Ondov et al. 2016, eq. 4), and clusters are connected components: no sequence
outside a cluster is that similar to one inside. Every pair is compared, by products of sparse matrices: the thresholds
of proteins are so low that locality-sensitive hashing passes nearly every pair on. Work grows with the square of the
number: twenty seconds of one core for ten thousand proteins of 300 residues. Have MMseqs2 for a hundred thousand.
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
"""Entries of a product of matrices at most: what is held at once."""
COVERAGE = "0.8"
"""MMseqs2: share of both sequences that an alignment must cover."""


def cluster(sequences: Sequence[str], identity: float) -> tuple[np.ndarray, str]:
    """Cluster number of each sequence, and the tool that gave it."""
    if not len(sequences):
        return np.zeros(0, dtype=np.int64), "nothing"
    if shutil.which("mmseqs"):
        return by_mmseqs(sequences, identity), "MMseqs2"
    return by_kmers(sequences, identity), f"{K}-mers"


def by_mmseqs(sequences: Sequence[str], identity: float) -> np.ndarray:
    """`mmseqs easy-cluster` (Steinegger & Söding 2017) at a minimal sequence identity.

    Raises:
        DataError: it failed; the message is its own.
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
    """Connected components of sequences whose k-mer sets are alike; U different sequences, V different k-mers."""
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
        cluster_U = joined(cluster_U, rows[alike], others[alike])
    return cluster_U[[unique[text] for text in sequences]]


def joined(cluster_U: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Clusters with those that a pair (row, other) connects made one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs = (np.ones(len(rows), dtype=np.int8), (cluster_U[rows], cluster_U[others]))
    merged = connected_components(coo_matrix(pairs, shape=(len(cluster_U), len(cluster_U))), directed=False)[1]
    return merged[cluster_U].astype(np.int64)


def jaccard_of(identity: float, k: int = K) -> float:
    """Mean Jaccard index of the k-mer sets of sequences with this identity: 1 / (2 exp(k (1 - identity)) - 1)."""
    return 1 / (2 * math.exp(k * (1 - identity)) - 1)


def _kmers(text: str) -> frozenset[str]:
    if len(text) <= K:
        return frozenset([text])
    return frozenset(text[i : i + K] for i in range(len(text) - K + 1))

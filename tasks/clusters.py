"""Sequences that are alike, as clusters: MMseqs2 where it is on the PATH, else MinHash sketches of k-mers.

With sketches, two sequences are alike when the Jaccard index of their 3-mer sets reaches that of sequences with the
asked identity under the Mash model (Ondov et al. 2016, eq. 4), and clusters are connected components: no sequence
outside a cluster is that similar to one inside, as far as the sketches see.
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
PERMUTATIONS = 128
COVERAGE = "0.8"
"""MMseqs2: share of both sequences that an alignment must cover."""


def cluster(sequences: Sequence[str], identity: float) -> tuple[np.ndarray, str]:
    """Cluster number of each sequence, and the tool that gave it."""
    if not len(sequences):
        return np.zeros(0, dtype=np.int64), "nothing"
    if shutil.which("mmseqs"):
        return by_mmseqs(sequences, identity), "MMseqs2"
    return by_sketches(sequences, identity), "3-mer sketches"


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


def by_sketches(sequences: Sequence[str], identity: float) -> np.ndarray:
    """Connected components of sequences whose k-mer sets are alike."""
    from datasketch import MinHash, MinHashLSH
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    threshold = jaccard_of(identity)
    unique = {text: number for number, text in enumerate(dict.fromkeys(sequences))}
    kmers = [_kmers(text) for text in unique]
    sketches = MinHash.bulk([[kmer.encode() for kmer in sorted(found)] for found in kmers], num_perm=PERMUTATIONS)
    index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, weights=(0.1, 0.9))
    pairs: list[tuple[int, int]] = []
    for number, sketch in enumerate(sketches):
        pairs += [
            (number, other) for other in index.query(sketch) if _jaccard(kmers[number], kmers[other]) >= threshold
        ]
        index.insert(number, sketch)
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(pairs)), (rows, columns)), shape=(len(unique), len(unique)))
    labels = connected_components(graph, directed=False)[1]
    return np.array([labels[unique[text]] for text in sequences], dtype=np.int64)


def jaccard_of(identity: float, k: int = K) -> float:
    """Mean Jaccard index of the k-mer sets of sequences with this identity: 1 / (2 exp(k (1 - identity)) - 1)."""
    return 1 / (2 * math.exp(k * (1 - identity)) - 1)


def _kmers(text: str) -> frozenset[str]:
    if len(text) <= K:
        return frozenset([text])
    return frozenset(text[i : i + K] for i in range(len(text) - K + 1))


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b)

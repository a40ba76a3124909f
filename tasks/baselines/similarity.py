"""Similarity of a row to the training rows of a model: for each column, similarity to the nearest training value.

Molecules: Tanimoto similarity of Morgan fingerprints (radius 2, 2,048 bits). Sequences: Jaccard similarity of their
sets of k-mers (3 residues, 6 bases), hashed into 4,096 bits. A similarity of 1 is that of a training value. Which
values are low depends on the task, so no threshold is set here. The similarity of a row is the lowest of its columns: a
pair with a new target is far from the training rows, even if the drug is known.

Shapes: N rows, M training values, F bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.baselines.baseline_features import column_kinds
from mammal.tasks.errors import DataError
from mammal.tasks.features.morgan import BITS, RADIUS
from mammal.tasks.molecules.chemistry import parse_smiles
from mammal.tasks.tables.cells import Row, as_text, cell, is_missing
from mammal.tasks.tables.spread_rows import spread_rows

if TYPE_CHECKING:
    from mammal.tasks.task import Task

MOST_VALUES = 10_000
"""Maximum number of distinct training values of a column that are kept, at equal distances in sorted order.

With more values than this, similarities are lower bounds.
"""
KMERS = {"protein": 3, "sequence": 6, "dna": 6}
KMER_BITS = 4096
CHUNK = 512
"""Rows compared with every training value at once; limits the memory."""


@dataclass(frozen=True)
class TrainingSimilarity:
    """Fingerprints of training values.

    Attributes:
        bits: column -> packed fingerprints of its values, uint8 [M, F / 8].
        kinds: column -> `molecule`, `protein`, `dna` or `sequence`.
    """

    bits: dict[str, np.ndarray]
    kinds: dict[str, str]

    @classmethod
    def fit(cls, task: Task, rows: Sequence[Row], most: int = MOST_VALUES) -> TrainingSimilarity:
        """Computes the fingerprints of all molecule and sequence columns that a task reads.

        Args:
            task: the task.
            rows: training rows.
            most: maximum number of distinct values of a column.
        """
        kinds = {column: kind for column, kind in column_kinds(task).items() if kind == "molecule" or kind in KMERS}
        bits = {}
        for column, kind in kinds.items():
            texts = sorted({text for text in _texts(task, rows, column) if text})
            kept = [texts[i] for i in spread_rows(len(texts), most)]
            bits[column] = fingerprints(kept, kind)
        return cls(bits, kinds)

    def similarity(self, task: Task, rows: Sequence[Row]) -> np.ndarray:
        """Returns the similarity of each row to its nearest training value, the lowest over columns.

        Args:
            task: the task.
            rows: N rows.

        Returns:
            float64 [N], NaN for rows that can't be read.
        """
        by_column = []
        for column, bits in self.bits.items():
            texts = _texts(task, rows, column)
            different, places = np.unique(np.array(texts, dtype=object), return_inverse=True)
            by_column.append(nearest(fingerprints(different.tolist(), self.kinds[column]), bits)[places])
        return np.min(by_column, axis=0) if by_column else np.full(len(rows), np.nan)


def fingerprints(texts: Sequence[str], kind: str) -> np.ndarray:
    """Returns the packed fingerprint of each text, uint8 [N, F / 8]; zeros for a text that is empty or not valid.

    Args:
        texts: SMILES or sequences.
        kind: `molecule`, or a key of `KMERS`.
    """
    bits_NF = np.zeros((len(texts), BITS if kind == "molecule" else KMER_BITS), dtype=bool)
    for row, text in enumerate(texts):
        bits_NF[row, morgan_bits(text) if kind == "molecule" else kmer_bits(text, KMERS[kind])] = True
    return np.packbits(bits_NF, axis=1)


def nearest(asked_NF: np.ndarray, bits_MF: np.ndarray) -> np.ndarray:
    """Returns the highest Tanimoto similarity, |a and b| / |a or b|, of each fingerprint to any of M others.

    Args:
        asked_NF: packed fingerprints, uint8 [N, F / 8].
        bits_MF: packed fingerprints of training values, uint8 [M, F / 8].

    Returns:
        float64 [N], NaN for a fingerprint without bits.
    """
    if not len(bits_MF) or not len(asked_NF):
        return np.full(len(asked_NF), np.nan)
    b_MF = unpacked(bits_MF)
    parts = []
    for start in range(0, len(asked_NF), CHUNK):
        similarity_NM = tanimoto(unpacked(asked_NF[start : start + CHUNK]), b_MF)
        parts.append(similarity_NM.max(axis=1).astype(np.float64))
    return np.where(asked_NF.any(axis=1), np.concatenate(parts), np.nan)


def unpacked(bits_NF: np.ndarray) -> np.ndarray:
    """Returns packed fingerprints as numbers 0 and 1 for `tanimoto`, float32 [N, F].

    Args:
        bits_NF: packed fingerprints, uint8 [N, F / 8].
    """
    return np.unpackbits(bits_NF, axis=1).astype(np.float32)


def tanimoto(a_NF: np.ndarray, b_MF: np.ndarray) -> np.ndarray:
    """Returns the Tanimoto similarity of each pair of fingerprints, |a and b| / |a or b|, float32 [N, M].

    Args:
        a_NF: fingerprints as numbers 0 and 1, float32 [N, F].
        b_MF: fingerprints as numbers 0 and 1, float32 [M, F].
    """
    shared_NM = a_NF @ b_MF.T
    either_NM = a_NF.sum(axis=1, keepdims=True) + b_MF.sum(axis=1)[None] - shared_NM
    return shared_NM / np.maximum(either_NM, 1)


def morgan_bits(smiles: str) -> list[int]:
    """Returns the bits of a molecule's Morgan fingerprint; none if the SMILES is not valid."""
    from rdkit.Chem import rdFingerprintGenerator

    molecule = parse_smiles(smiles)
    if molecule is None:
        return []
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    return list(generator.GetFingerprint(molecule).GetOnBits())


def kmer_bits(sequence: str, k: int) -> list[int]:
    """Returns the bits of a sequence's k-mers, by a hash that is the same in every process.

    Args:
        sequence: the sequence.
        k: length of k-mers.
    """
    from zlib import crc32

    starts = range(max(1, len(sequence) - k + 1)) if sequence else ()
    return [crc32(kmer.encode()) % KMER_BITS for kmer in {sequence[i : i + k] for i in starts}]


def _texts(task: Task, rows: Sequence[Row], column: str) -> list[str]:
    """The column's cells as text; empty if missing. SMILES stay as written, as fingerprints don't depend on that."""
    found = []
    for row in rows:
        try:
            value = cell(row, column, task.aliases)
        except DataError:
            value = None
        found.append("" if is_missing(value) else as_text(value))
    return found

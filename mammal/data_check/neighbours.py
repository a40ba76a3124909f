"""The entities of a data set and their most similar training entities.

Rows with equal inputs are one entity. Molecules are compared by the Tanimoto similarity of Morgan fingerprints,
sequences by the Jaccard similarity of their k-mers (`mammal.tasks.baselines.similarity`). With several input columns,
the similarity of two rows is the lowest of the columns. All pairs are compared with matrix products, block by block;
more entities than a limit are sampled evenly, so that the time has a limit, too. The best candidates for a molecule are
then compared by how often each environment occurs, because chains of all lengths consist of the same environments.

Shapes: N rows, E entities, Q queries, R training entities, K neighbours, F bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.baselines.similarity import CHUNK, KMERS, fingerprints, tanimoto, unpacked
from mammal.tasks.features.morgan import BITS, RADIUS
from mammal.tasks.molecules.chemistry import morgan_counts
from mammal.tasks.tables.spread_rows import spread_rows

if TYPE_CHECKING:
    from mammal.data_check.checked_data import CheckedData

MOST_ENTITIES = 10_000
NEIGHBOURS, CANDIDATES = 10, 30
"""Number of neighbours that are kept for each entity, and of those among which they are chosen."""
NEAR_MOLECULE, NEAR_IDENTITY = 0.95, 0.9
"""Near-duplicates: molecules of this Tanimoto similarity, sequences of this identity."""
NEAR_COUNTS = 0.8
"""Least similarity of the counts of environments of near-duplicates: rings of other sizes have equal environments."""
EXACT_KMER = {"protein": 3, "dna": 12, "sequence": 6}
"""Length of k-mers by which the identity of two similar sequences is estimated. They are compared without hashing."""


@dataclass(frozen=True)
class Entities:
    """Entities of a data set.

    Attributes:
        rows: rows of each entity.
        train_E: whether a training row has this entity, bool [E].
        held_out_E: whether a validation or test row has this entity, bool [E].
    """

    rows: Sequence[Sequence[int]]
    train_E: np.ndarray
    held_out_E: np.ndarray

    @cached_property
    def of_row(self) -> dict[int, int]:
        """Row -> its entity."""
        return {row: entity for entity, rows in enumerate(self.rows) for row in rows}

    @property
    def first_E(self) -> np.ndarray:
        """First row of each entity, int64 [E]."""
        return np.array([rows[0] for rows in self.rows], dtype=np.int64)


@dataclass(frozen=True)
class Neighbours:
    """The most similar training entities of entities.

    Attributes:
        entities: all entities.
        query_Q: entities whose neighbours were searched, int64 [Q].
        near_QK: their neighbours, most similar first, int64 [Q, K]: entities, never the query itself.
        similarity_QK: similarity to each of them, float32 [Q, K], from 0 to 1; -1 where there are fewer neighbours.
        sampled: whether only a sample of the entities was searched.
        columns: input columns that were compared.
    """

    entities: Entities
    query_Q: np.ndarray
    near_QK: np.ndarray
    similarity_QK: np.ndarray
    sampled: bool
    columns: Sequence[str]


def entities_of(data: CheckedData) -> Entities:
    """Groups the readable rows by their inputs."""
    found: dict[object, list[int]] = {}
    for row, key in enumerate(data.keys()):
        if key is not None:
            found.setdefault(key, []).append(row)
    parts = [{data.part_N[row] for row in rows} for rows in found.values()]
    train_E = np.array(["train" in part for part in parts], dtype=bool)
    held_out_E = np.array([bool(part & {"valid", "test"}) for part in parts], dtype=bool)
    return Entities(list(found.values()), train_E, held_out_E)


def find_neighbours(data: CheckedData, entities: Entities, most: int = MOST_ENTITIES) -> Neighbours | None:
    """Finds the most similar training entities of the training and held-out entities.

    Args:
        data: the rows.
        entities: their entities.
        most: maximum number of training entities that are searched, and of held-out entities.

    Returns:
        The neighbours. None if the task reads neither molecules nor sequences, or a training entity has no other.
    """
    train = np.flatnonzero(entities.train_E)
    held_out = np.flatnonzero(entities.held_out_E & ~entities.train_E)
    if not data.entities or len(train) < 2 or not most:
        return None
    reference_R, others = (rows[spread_rows(len(rows), most)] for rows in (train, held_out))
    sampled = len(reference_R) < len(train) or len(others) < len(held_out)
    query_Q = np.concatenate([reference_R, others])
    columns = [_ColumnBits.of(data, entities, column, query_Q) for column in data.entities]
    near, similarity = [], []
    for start in range(0, len(query_Q), CHUNK):
        places = np.arange(start, min(start + CHUNK, len(query_Q)))
        blocks = [column.similarity(places, len(reference_R)) for column in columns]
        lowest_QR = np.minimum.reduce(blocks)
        own = places[places < len(reference_R)]
        lowest_QR[own - start, own] = -1
        some_QC = _top(lowest_QR, min(CANDIDATES, len(reference_R) - 1))
        finer = [column.finer(block, places, some_QC) for column, block in zip(columns, blocks, strict=True)]
        finer_QC = np.where(np.take_along_axis(lowest_QR, some_QC, axis=1) < 0, -1, np.minimum.reduce(finer))
        top_QK = _top(finer_QC, min(NEIGHBOURS, some_QC.shape[1]))
        near.append(reference_R[np.take_along_axis(some_QC, top_QK, axis=1)])
        similarity.append(np.take_along_axis(finer_QC, top_QK, axis=1))
    return Neighbours(entities, query_Q, np.concatenate(near), np.concatenate(similarity), sampled, data.entities)


def _top(block_QR: np.ndarray, k: int) -> np.ndarray:
    """Places of the k largest values of each row, largest first, int64 [Q, K]."""
    some_QK = np.argpartition(-block_QR, k - 1, axis=1)[:, :k]
    order_QK = np.argsort(-np.take_along_axis(block_QR, some_QK, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some_QK, order_QK, axis=1)


@dataclass(frozen=True)
class _ColumnBits:
    """Fingerprints of the distinct texts of a column. The training entities are the first queries.

    Attributes:
        bits_TF: packed fingerprint of each distinct text, uint8.
        counts_TF: how often a molecule has each environment, uint8. None for sequences.
        place_Q: text of each query.
    """

    bits_TF: np.ndarray
    counts_TF: np.ndarray | None
    place_Q: np.ndarray

    @classmethod
    def of(cls, data: CheckedData, entities: Entities, column: str, query_Q: np.ndarray) -> _ColumnBits:
        texts = [(data.inputs[entities.rows[entity][0]] or {}).get(column, "") for entity in query_Q.tolist()]
        different, place_Q = np.unique(np.array(texts, dtype=object), return_inverse=True)
        kind, listed = data.kinds[column], different.tolist()
        counts = np.minimum(morgan_counts(listed, RADIUS, BITS), 255).astype(np.uint8) if kind == "molecule" else None
        return cls(fingerprints(listed, kind), counts, place_Q)

    @cached_property
    def _unpacked(self) -> np.ndarray:
        return unpacked(self.bits_TF)

    def similarity(self, places: np.ndarray, references: int) -> np.ndarray:
        """Similarity of some queries to the training entities, float32 [queries, R]."""
        own, own_place = np.unique(self.place_Q[places], return_inverse=True)
        theirs, their_place = np.unique(self.place_Q[:references], return_inverse=True)
        block = tanimoto(self._unpacked[own], self._unpacked[theirs])
        return block[np.ix_(own_place, their_place)]

    def finer(self, block_QR: np.ndarray, places: np.ndarray, some_QC: np.ndarray) -> np.ndarray:
        """Similarity of some queries to their candidates, float [queries, C]: of counts for molecules, as it is else.

        Args:
            block_QR: what `similarity` returned.
            places: the queries.
            some_QC: their candidates, as columns of the block.
        """
        if self.counts_TF is None:
            return np.take_along_axis(block_QR, some_QC, axis=1)
        found_QC = np.empty(some_QC.shape)
        for at, (query, candidates) in enumerate(zip(self.place_Q[places], some_QC, strict=True)):
            own_F, their_CF = self.counts_TF[query], self.counts_TF[self.place_Q[candidates]]
            shared_C = np.minimum(own_F, their_CF).sum(axis=1, dtype=np.float64)
            either_C = np.maximum(own_F, their_CF).sum(axis=1, dtype=np.float64)
            found_QC[at] = shared_C / np.maximum(either_C, 1)
        return found_QC


def identity(one: str, other: str, kind: str) -> float:
    """Estimates the identity of two sequences from their shared k-mers (the Mash model, Ondov et al. 2016, eq. 4).

    Args:
        one: a sequence.
        other: another sequence.
        kind: `protein`, `dna` or `sequence`.

    Returns:
        From 0 to 1.
    """
    k = min(EXACT_KMER[kind], len(one), len(other)) or 1
    first, second = ({text[i : i + k] for i in range(len(text) - k + 1)} for text in (one, other))
    jaccard = len(first & second) / max(len(first | second), 1)
    return max(0.0, 1 + math.log(2 * jaccard / (1 + jaccard)) / k) if jaccard else 0.0


def is_near_duplicate(data: CheckedData, row: int, other: int, column: str) -> bool:
    """Whether a cell of two rows is nearly the same molecule or sequence.

    Args:
        data: the rows.
        row: a row.
        other: another row.
        column: column with molecules or sequences.
    """
    one, two = ((data.inputs[n] or {}).get(column, "") for n in (row, other))
    kind = data.kinds[column]
    if one == two:
        return True
    if kind in KMERS:
        return identity(one, two, kind) >= NEAR_IDENTITY
    bits = unpacked(fingerprints([one, two], kind))
    counts = morgan_counts([one, two], RADIUS, BITS)
    alike = float(counts.min(axis=0).sum() / max(counts.max(axis=0).sum(), 1.0))
    return float(tanimoto(bits[:1], bits[1:])[0, 0]) >= NEAR_MOLECULE and alike >= NEAR_COUNTS

"""Baseline for tasks that generate text: the answer of the most similar training row, copied.

    nearest     molecules: Tanimoto similarity of Morgan fingerprints (radius 2, 2,048 bits)
                sequences and names: Jaccard similarity of their sets of three characters, hashed into 4,096 bits

Its share of exact answers shows what memorisation alone would give. For tasks with several answers for a row, it gives
the distinct answers of the nearest rows. It applies to tasks that read one column of molecules, sequences or names and
generate one text.

Shapes: N query rows, M training rows, F bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.baselines.baseline_features import column_kinds
from mammal.tasks.baselines.similarity import KMER_BITS, kmer_bits, morgan_bits
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.features.morgan import BITS
from mammal.tasks.tables.cells import Row
from mammal.tokenization.errors import MammalError

if TYPE_CHECKING:
    from mammal.tasks.task import Task

NEAREST = "nearest"
CHARACTERS = 3
_CHUNK = 256
"""Rows compared with every training row at once; limits the memory."""
_SPARE = 4
"""Number of nearest rows used for each requested answer, because several rows may have the same answer."""


def copied(task: Task, train: Sequence[Row], test: Sequence[Row]) -> dict[str, list[Prediction]]:
    """Predicts the test rows by copying answers of training rows.

    Args:
        task: the task.
        train: training rows; those that the task can't read are left out.
        test: test rows; those that the task can't read get a prediction with the error.

    Returns:
        Name of the baseline -> one prediction for each test row; empty if the baseline does not apply to the task.
    """
    kinds = column_kinds(task)
    texts = len(task.target_columns) == 1 and not task.number_targets
    if task.family != "generation" or len(kinds) != 1 or not texts:
        return {}
    (column,) = kinds
    if kinds[column] not in ("molecule", "protein", "sequence"):
        return {}
    known = [row for row in (_read(task, row, target=True) for row in train) if isinstance(row, dict)]
    if not known:
        return {}
    answers = [row[task.target_columns[0]] for row in known]
    asked = [_read(task, row, target=False) for row in test]
    readable = [row[column] for row in asked if isinstance(row, dict)]
    found = _nearest(readable, [row[column] for row in known], kinds[column], task.ranks * _SPARE)
    said = []
    for number, row in enumerate(asked):
        if isinstance(row, dict):
            distinct = list(dict.fromkeys(answers[place] for place in next(found)))[: task.ranks]
            best, *others = (Prediction(number, text=text) for text in distinct)
            said.append(Prediction(number, text=best.text, runners_up=tuple(others)))
        else:
            said.append(Prediction(number, error=row))
    return {NEAREST: said}


def _read(task: Task, row: Row, *, target: bool) -> dict[str, str] | str:
    """The row's standardised cells, or the error text if the task can't read it."""
    try:
        return task.inputs(row) | (task.prepare_target(row) if target else {})
    except MammalError as error:
        return str(error)


def _nearest(asked: Sequence[str], known: Sequence[str], kind: str, count: int) -> Iterator[list[int]]:
    """For each text the positions of the most similar known texts, nearest first; of equals the earlier one first."""
    known_MF = _bits(known, kind)
    sizes_M = np.asarray(known_MF.sum(axis=1)).ravel()
    by_bit_FM = known_MF.T.tocsr()
    for start in range(0, len(asked), _CHUNK):
        asked_XF = _bits(asked[start : start + _CHUNK], kind)
        shared_XM = (asked_XF @ by_bit_FM).toarray()
        either_XM = np.asarray(asked_XF.sum(axis=1)) + sizes_M[None] - shared_XM
        similarity_XM = shared_XM / np.maximum(either_XM, 1)
        last = min(count, len(known)) - 1
        for similarity_M in similarity_XM:
            least = -np.partition(-similarity_M, last)[last]
            close = np.flatnonzero(similarity_M >= least)
            yield close[np.argsort(-similarity_M[close], kind="stable")][:count].tolist()


def _bits(texts: Sequence[str], kind: str) -> Any:
    """Fingerprint bits of texts as a sparse matrix of ones, float32 [N, F]."""
    from scipy.sparse import csr_matrix

    places = [morgan_bits(text) if kind == "molecule" else sorted({*kmer_bits(text, CHARACTERS)}) for text in texts]
    starts = np.cumsum([0, *map(len, places)])
    columns = np.fromiter((place for row in places for place in row), dtype=np.int32, count=int(starts[-1]))
    shape = (len(texts), BITS if kind == "molecule" else KMER_BITS)
    return csr_matrix((np.ones(len(columns), dtype=np.float32), columns, starts), shape=shape)

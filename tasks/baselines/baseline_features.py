"""Features of the baselines: fingerprints, descriptors, k-mers, words and numbers, one matrix for each column.

All settings were fixed before any result was seen. They are not tuned on a task:

    morgan        Morgan count fingerprints, radius 2, 2,048 bits (ECFP4)
    descriptors   every RDKit 2D descriptor of `{smiles:descriptors}` (`mammal.tasks.features.descriptors`); values that
                  RDKit can't compute are replaced by the median of the training rows
    kmers         counts of 1- to 3-mers of a protein or a name, hashed into 4,096 columns
    dna           k-mers of bases, and the change of a variant (`mammal.tasks.baselines.baseline_dna`)
    words         counts of names (genes, attributes of a cell), hashed into 4,096 columns
    number        the number itself
    esm2          mean state of a frozen ESM-2 over residues (`mammal.tasks.features.esm2`)

Shapes: N rows, F features. A matrix is a NumPy array or a SciPy sparse matrix [N, F].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.errors import DataError
from mammal.tasks.features.descriptors import descriptors_of
from mammal.tasks.features.morgan import BITS, RADIUS
from mammal.tasks.features.rdkit_names import NAMES
from mammal.tasks.molecules.chemistry import morgan_counts

if TYPE_CHECKING:
    from mammal.tasks.task import Task

LONGEST_KMER = 3
HASHED_FEATURES = 4096
WORD = r"[^\s,;\[\]]+"
"""A name in a list such as `[MALAT1][B2M]` or `lung, male`."""

Matrix = Any
Featuriser = Callable[[Sequence[str], Sequence[str]], tuple[Matrix, Matrix]]
"""(training texts, other texts) -> their matrices; only training texts are used for fitting."""


def column_kinds(task: Task) -> dict[str, str]:
    """Returns the kind of each input column of a task.

    Returns:
        Column -> `molecule`, `protein`, `dna`, `sequence` (names, text), `number` or `words`.
    """
    from mammal.tokenization.entities import ENTITIES

    alphabets = {
        slot.column: ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name
        for slot in task.template.slots
    }
    alphabets |= {s.identity: ENTITIES[next(iter(s.sources))].alphabet for s in task.views.values()}
    kinds = {}
    for column in task.identities:
        if column in task.molecules:
            kinds[column] = "molecule"
        elif alphabets[column] in ("DNA", "IUPAC", "TEXT"):
            kinds[column] = "dna" if alphabets[column] == "DNA" else "sequence"
        elif column in task.sequences:
            kinds[column] = "protein"
        else:
            kinds[column] = "number" if column in task.numbers else "words"
    return kinds


def matrices(
    columns: Sequence[str], how: dict[str, Featuriser], train: Sequence[dict[str, str]], test: Sequence[dict[str, str]]
) -> tuple[Matrix, Matrix]:
    """Computes the features of several columns, concatenated, for training rows and other rows.

    Args:
        columns: the columns.
        how: column -> its featuriser.
        train: texts of the training rows, by column.
        test: texts of the other rows, by column.

    Returns:
        Two matrices [N, F], for the training rows and the other rows.
    """
    pairs = [how[column]([row[column] for row in train], [row[column] for row in test]) for column in columns]
    return _beside([pair[0] for pair in pairs]), _beside([pair[1] for pair in pairs])


def once_each(featurise: Callable[[Sequence[str]], Matrix]) -> Featuriser:
    """Returns a featuriser without fitting that computes the features of each distinct text once.

    Args:
        featurise: function from texts to a matrix [N, F].
    """

    def both(train: Sequence[str], test: Sequence[str]) -> tuple[Matrix, Matrix]:
        different, places = np.unique(np.array([*train, *test], dtype=object), return_inverse=True)
        matrix = featurise(different.tolist())
        return matrix[places[: len(train)]], matrix[places[len(train) :]]

    return both


def remembered(featurise: Callable[[Sequence[str]], Matrix]) -> Callable[[Sequence[str]], Matrix]:
    """Returns a function that computes the features of the same texts once, for all baselines of an evaluation.

    Args:
        featurise: function from texts to a matrix [N, F]. Callers must not change the matrix.
    """
    known: dict[tuple[str, ...], Matrix] = {}

    def compute(texts: Sequence[str]) -> Matrix:
        key = tuple(texts)
        if key not in known:
            known[key] = featurise(texts)
        return known[key]

    return compute


def morgan(smiles: Sequence[str]) -> Matrix:
    return morgan_counts(smiles, RADIUS, BITS)


def all_descriptors(smiles: Sequence[str]) -> np.ndarray:
    """Returns the values of `{smiles:descriptors}`, unscaled, float64 [N, F], clipped to float32; NaN if undefined."""
    limit = float(np.finfo(np.float32).max)
    found = np.array(descriptors_of(smiles)).reshape(len(smiles), len(NAMES))
    found[~np.isfinite(found)] = np.nan
    return np.clip(found, -limit, limit)


def dense(featurise: Callable[[Sequence[str]], Matrix]) -> Featuriser:
    """Returns a featuriser with dense features, computed once for each distinct text.

    Trees are far faster on dense arrays of a few hundred columns.
    """
    return once_each(lambda texts: featurise(texts).toarray())


def with_medians(featurise: Callable[[Sequence[str]], Matrix]) -> Featuriser:
    """Returns a featuriser that replaces NaN by the median of the training rows, 0 if a column has no value there."""
    compute = once_each(featurise)

    def both(train: Sequence[str], test: Sequence[str]) -> tuple[Matrix, Matrix]:
        known_train, known_test = compute(train, test)
        empty = np.isnan(known_train).all(axis=0) if len(known_train) else np.ones(known_train.shape[1], dtype=bool)
        medians_F = np.zeros(known_train.shape[1])
        medians_F[~empty] = np.nanmedian(known_train[:, ~empty], axis=0)
        return _filled(known_train, medians_F), _filled(known_test, medians_F)

    return both


def _filled(x_NF: np.ndarray, medians_F: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(x_NF), medians_F, x_NF).astype(np.float32)


def kmers(sequences: Sequence[str]) -> Matrix:
    return _counts(sequences, analyzer="char", ngram_range=(1, LONGEST_KMER), lowercase=False)


def words(texts: Sequence[str]) -> Matrix:
    return _counts(texts, token_pattern=WORD, lowercase=False)


def numbers(texts: Sequence[str]) -> Matrix:
    return np.array([[float(text)] for text in texts], dtype=np.float32).reshape(len(texts), 1)


def esm2_on_disk(named: str | None) -> str | None:
    """Returns the ESM-2 model that a task names, or the smallest one with weights; None if there are none on disk."""
    from mammal.tasks.features.esm2 import WIDTHS, weights_file

    for model in [named] if named else WIDTHS:
        try:
            weights_file(model)
        except DataError:
            continue
        return model
    return None


def esm2_states(model: str) -> Callable[[Sequence[str]], Matrix]:
    """Returns a function from proteins to their mean ESM-2 states, float32 [N, width]; unknown characters become X."""
    from mammal.tasks.features.esm2 import RESIDUES, Esm2

    companion = Esm2(model)

    def states(sequences: Sequence[str]) -> np.ndarray:
        known = ["".join(letter if letter in RESIDUES else "X" for letter in text) for text in sequences]
        return np.array([companion.of(text) for text in known]).reshape(len(known), companion.width)

    return states


def _counts(texts: Sequence[str], **how: Any) -> Matrix:
    from sklearn.feature_extraction.text import HashingVectorizer

    counter = HashingVectorizer(n_features=HASHED_FEATURES, norm=None, alternate_sign=False, **how)
    return counter.transform(texts)


def _beside(parts: Sequence[Matrix]) -> Matrix:
    from scipy.sparse import hstack, issparse

    if len(parts) == 1:
        return parts[0]
    return hstack(parts).tocsr() if any(map(issparse, parts)) else np.hstack(parts)

"""Metrics of generated text, by row: float64 [N], NaN in rows for which a metric is undefined.

The metric of an evaluation is the mean over rows, so the bootstrap does not need to process texts again. Only
uniqueness is not a mean.

Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from mammal.tasks.metrics.answers import Answers

RANKS = 5
"""Number of answers that `top5_…` uses."""


def exact_match(a: Answers) -> np.ndarray:
    """1 if the answer equals the truth, character by character."""
    return _each([truth == said for truth, said in zip(a.truth_N, a.answer_N, strict=True)])


def molecule_match(a: Answers) -> np.ndarray:
    """1 if the answer is the same molecule as the truth (equal canonical SMILES)."""
    return _each([same_molecule(truth, said) for truth, said in zip(a.truth_N, a.answer_N, strict=True)])


def main_molecule_match(a: Answers) -> np.ndarray:
    """1 if the largest molecules of answer and truth, by heavy atoms, are the same: the main product of a reaction,
    without salts."""
    from mammal.tasks.reactions.sets import main_molecule

    pairs = zip(a.truth_N, a.answer_N, strict=True)
    return _each([same_molecule(main_molecule(truth), main_molecule(said)) for truth, said in pairs])


def top5_exact_match(a: Answers) -> np.ndarray:
    """1 if the truth is among the first five distinct answers; NaN if only one answer was requested."""
    if a.ranked_N is None:
        return np.full(len(a), np.nan)
    rows = zip(a.truth_N, a.ranked_N, strict=True)
    return _each([truth in list(dict.fromkeys(said))[:RANKS] for truth, said in rows])


def top5_molecule_match(a: Answers) -> np.ndarray:
    """1 if the true molecule is among the first five distinct answers; NaN if only one answer was requested.

    Answers that are the same molecule count as one, at the position of the first. Invalid answers keep their position.
    """
    if a.ranked_N is None:
        return np.full(len(a), np.nan)
    rows = zip(a.truth_N, a.ranked_N, strict=True)
    return _each(
        [any(same_molecule(truth, text) for text in different_molecules(said)[:RANKS]) for truth, said in rows]
    )


def validity(a: Answers) -> np.ndarray:
    """1 if RDKit can parse the generated SMILES."""
    from mammal.tasks.molecules.chemistry import canonical_or_none

    return _each([canonical_or_none(text) is not None for text in a.answer_N])


def morgan_similarity(a: Answers) -> np.ndarray:
    """Tanimoto similarity of the Morgan fingerprints (radius 2, 2,048 bits; Rogers & Hahn 2010) of answer and truth.

    An invalid answer counts as 0, so that it never improves the metric; NaN if the truth is not a molecule.
    """
    return _similarity(a, "morgan")


def maccs_similarity(a: Answers) -> np.ndarray:
    """Tanimoto similarity of the 166 MACCS keys (Durant et al. 2002) in RDKit's definition, as `morgan_similarity`."""
    return _similarity(a, "maccs")


def uniqueness(a: Answers) -> float:
    """Number of distinct molecules divided by the number of valid ones."""
    from mammal.tasks.molecules.chemistry import normalised_or_none

    valid = [c for text in a.answer_N if (c := normalised_or_none(text)) is not None]
    return len(set(valid)) / len(valid) if valid else float("nan")


def same_molecule(one: str, other: str) -> bool:
    """Whether two SMILES are the same molecule, stereo included; False if one is not valid."""
    from mammal.tasks.molecules.chemistry import normalised_or_none

    normalised = normalised_or_none(one)
    return normalised is not None and normalised == normalised_or_none(other)


def different_molecules(texts: Sequence[str]) -> list[str]:
    """Returns the texts without those that are the same molecule as an earlier one, or repeat an invalid text."""
    from mammal.tasks.molecules.chemistry import normalised_or_none

    first: dict[str, str] = {}
    for text in texts:
        first.setdefault(normalised_or_none(text) or text, text)
    return list(first.values())


def _similarity(a: Answers, how: str) -> np.ndarray:
    return np.array([_tanimoto(truth, said, how) for truth, said in zip(a.truth_N, a.answer_N, strict=True)], float)


@lru_cache(maxsize=1 << 16)
def _tanimoto(truth: str, said: str, how: str) -> float:
    """Similarity of a row; cached, because a metric and its interval use the same rows."""
    from rdkit.DataStructs import TanimotoSimilarity

    from mammal.tasks.molecules.chemistry import parse_smiles

    if same_molecule(truth, said):
        return 1.0
    expected, found = parse_smiles(truth), parse_smiles(said)
    if expected is None:
        return float("nan")
    if found is None or not found.GetNumAtoms():
        return 0.0
    fingerprint = _fingerprint(how)
    return float(TanimotoSimilarity(fingerprint(expected), fingerprint(found)))


@lru_cache(maxsize=2)
def _fingerprint(how: str) -> Any:
    """Returns a function from an RDKit molecule to its fingerprint."""
    from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

    from mammal.tasks.features.morgan import BITS, RADIUS

    if how == "maccs":
        return rdMolDescriptors.GetMACCSKeysFingerprint
    return rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS).GetFingerprint


def _each(found: list[bool]) -> np.ndarray:
    return np.array(found, dtype=np.float64)

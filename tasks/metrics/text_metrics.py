"""Metrics of generated text, row by row: float64 [N], NaN in rows for which one is undefined.

A metric of an evaluation is the mean over rows, so resampling rows needs no text to be looked at again. Uniqueness
alone is no mean.

Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from mammal.tasks.metrics.answers import Answers

RANKS = 5
"""Answers that `top5_…` looks at."""


def exact_match(a: Answers) -> np.ndarray:
    """1 where the answer is the truth, character by character."""
    return _each([truth == said for truth, said in zip(a.truth_N, a.answer_N, strict=True)])


def molecule_match(a: Answers) -> np.ndarray:
    """1 where the answer is the same molecule as the truth (equal canonical SMILES)."""
    return _each([same_molecule(truth, said) for truth, said in zip(a.truth_N, a.answer_N, strict=True)])


def main_molecule_match(a: Answers) -> np.ndarray:
    """1 where the largest molecule of the answer is that of the truth, by heavy atoms: the main product of a reaction,
    whatever salts stand beside it."""
    from mammal.tasks.reactions.sets import main_molecule

    pairs = zip(a.truth_N, a.answer_N, strict=True)
    return _each([same_molecule(main_molecule(truth), main_molecule(said)) for truth, said in pairs])


def top5_exact_match(a: Answers) -> np.ndarray:
    """1 where the truth is among the first five different answers; NaN where one answer alone was asked for."""
    if a.ranked_N is None:
        return np.full(len(a), np.nan)
    rows = zip(a.truth_N, a.ranked_N, strict=True)
    return _each([truth in list(dict.fromkeys(said))[:RANKS] for truth, said in rows])


def top5_molecule_match(a: Answers) -> np.ndarray:
    """1 where the truth's molecule is among the first five different answers; NaN where one answer alone was asked for.

    Answers that spell the same molecule count as one, in the place of the first. What spells none keeps its place.
    """
    if a.ranked_N is None:
        return np.full(len(a), np.nan)
    rows = zip(a.truth_N, a.ranked_N, strict=True)
    return _each(
        [any(same_molecule(truth, text) for text in different_molecules(said)[:RANKS]) for truth, said in rows]
    )


def validity(a: Answers) -> np.ndarray:
    """1 where RDKit parses the generated SMILES."""
    from mammal.tasks.molecules.chemistry import canonical_or_none

    return _each([canonical_or_none(text) is not None for text in a.answer_N])


def morgan_similarity(a: Answers) -> np.ndarray:
    """Tanimoto similarity of the Morgan fingerprints (radius 2, 2,048 bits; Rogers & Hahn 2010) of answer and truth.

    An answer that is no molecule counts 0, so that writing nonsense never pays; NaN where the truth is none.
    """
    return _similarity(a, "morgan")


def maccs_similarity(a: Answers) -> np.ndarray:
    """The same with the 166 MACCS keys (Durant et al. 2002), in RDKit's definition of them."""
    return _similarity(a, "maccs")


def uniqueness(a: Answers) -> float:
    """Distinct molecules over valid ones."""
    from mammal.tasks.molecules.chemistry import normalised_or_none

    valid = [c for text in a.answer_N if (c := normalised_or_none(text)) is not None]
    return len(set(valid)) / len(valid) if valid else float("nan")


def same_molecule(one: str, other: str) -> bool:
    """Whether two SMILES are the same molecule, stereo included, in whatever spelling; False where either is none."""
    from mammal.tasks.molecules.chemistry import normalised_or_none

    normalised = normalised_or_none(one)
    return normalised is not None and normalised == normalised_or_none(other)


def different_molecules(texts: Sequence[str]) -> list[str]:
    """The texts without those that spell the molecule of an earlier one (or, of text that spells none, repeat it)."""
    from mammal.tasks.molecules.chemistry import normalised_or_none

    first: dict[str, str] = {}
    for text in texts:
        first.setdefault(normalised_or_none(text) or text, text)
    return list(first.values())


def _similarity(a: Answers, how: str) -> np.ndarray:
    return np.array([_tanimoto(truth, said, how) for truth, said in zip(a.truth_N, a.answer_N, strict=True)], float)


@lru_cache(maxsize=1 << 16)
def _tanimoto(truth: str, said: str, how: str) -> float:
    """Kept, as the figure and its interval ask for the same rows."""
    from rdkit.DataStructs import TanimotoSimilarity

    from mammal.tasks.molecules.chemistry import parse

    if same_molecule(truth, said):
        return 1.0
    expected, found = parse(truth), parse(said)
    if expected is None:
        return float("nan")
    if found is None or not found.GetNumAtoms():
        return 0.0
    fingerprint = _fingerprint(how)
    return float(TanimotoSimilarity(fingerprint(expected), fingerprint(found)))


@lru_cache(maxsize=2)
def _fingerprint(how: str) -> Any:
    """From a molecule of RDKit to its bits."""
    from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

    from mammal.tasks.features.morgan import BITS, RADIUS

    if how == "maccs":
        return rdMolDescriptors.GetMACCSKeysFingerprint
    return rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS).GetFingerprint


def _each(found: list[bool]) -> np.ndarray:
    return np.array(found, dtype=np.float64)

"""Numbers computed from a molecule, for `{column:descriptors}`: RDKit descriptors, standardised on the training rows.

The list is fixed here, so that a checkpoint meets the numbers it was trained on under any version of RDKit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mammal.tasks.chemistry import parse

# fmt: off
NAMES = (
    "MolWt", "MolLogP", "MolMR", "TPSA", "LabuteASA", "qed", "FractionCSP3", "NumValenceElectrons",
    "HeavyAtomCount", "NumHeteroatoms", "NumHDonors", "NumHAcceptors", "NHOHCount", "NOCount", "NumRotatableBonds",
    "RingCount", "NumAromaticRings", "NumAliphaticRings", "NumSaturatedRings", "NumAromaticHeterocycles",
    "NumAliphaticHeterocycles", "BalabanJ", "BertzCT", "Chi0v", "Chi1v", "Chi2v", "Chi3v", "HallKierAlpha",
    "Kappa1", "Kappa2", "Kappa3", "MaxPartialCharge", "MinPartialCharge", "MaxEStateIndex", "MinEStateIndex",
)
# fmt: on

LIMIT = 10.0
"""Standardised values are cut here: some descriptors explode on unusual molecules."""


@dataclass(frozen=True)
class DescriptorScale:
    """Mean and standard deviation of each descriptor over training molecules, in the order of `names`."""

    names: tuple[str, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    @classmethod
    def fit(cls, smiles: Sequence[str]) -> DescriptorScale:
        """Fitted on the molecules that RDKit can parse; constant descriptors keep a deviation of 1."""
        values = np.array([descriptors(text) for text in smiles]).reshape(len(smiles), len(NAMES))
        known = np.isfinite(values)
        counts = np.maximum(known.sum(axis=0), 1)
        means = np.where(known, values, 0).sum(axis=0) / counts
        variances = np.where(known, (values - means) ** 2, 0).sum(axis=0) / counts
        stds = np.where(variances > 0, np.sqrt(variances), 1.0)
        return cls(NAMES, tuple(means.tolist()), tuple(stds.tolist()))

    def of(self, smiles: str) -> np.ndarray:
        """Standardised descriptors of a molecule, float32; the training mean (0) where RDKit gives none."""
        scaled = (np.array(descriptors(smiles)) - self.means) / self.stds
        return np.clip(np.nan_to_num(scaled, nan=0.0, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT).astype(np.float32)

    def state(self) -> dict[str, list[float]]:
        """Mean and standard deviation by name."""
        return {n: [m, s] for n, m, s in zip(self.names, self.means, self.stds, strict=True)}

    @classmethod
    def from_state(cls, state: Mapping[str, Sequence[float]]) -> DescriptorScale:
        """As fitted; descriptors that this version no longer computes are an error of ours, not of the user."""
        assert tuple(state) == NAMES, "the list of descriptors is part of the checkpoint format"
        means, stds = zip(*state.values(), strict=True)
        return cls(tuple(state), tuple(map(float, means)), tuple(map(float, stds)))


@lru_cache(maxsize=1 << 15)
def descriptors(smiles: str) -> tuple[float, ...]:
    """The descriptors of one molecule, NaN throughout where RDKit can't parse it."""
    from rdkit.Chem import Descriptors

    molecule = parse(smiles)
    if molecule is None:
        return (float("nan"),) * len(NAMES)
    functions = dict(Descriptors.descList)
    return tuple(float(functions[name](molecule)) for name in NAMES)

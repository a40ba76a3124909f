"""Views of a molecule that are computed from its SMILES."""

from __future__ import annotations

import numpy as np

from mammal.tasks.molecules.chemistry import parse

_SEEDS = 2**31 - 1
"""RDKit takes a positive C int as a seed."""


def random_smiles(smiles: str, rng: np.random.Generator) -> str | None:
    """A SMILES of the same molecule that starts at a random atom and branches at random (Bjerrum 2017,
    arXiv:1703.07076); None where RDKit can't parse it."""
    from rdkit import Chem

    molecule = parse(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    return str(Chem.MolToRandomSmilesVect(molecule, 1, randomSeed=int(rng.integers(1, _SEEDS)))[0])

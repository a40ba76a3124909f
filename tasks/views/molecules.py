"""Views of a molecule that are computed from its SMILES."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammal.tasks.molecules.chemistry import parse_smiles

if TYPE_CHECKING:
    import numpy as np

_SEEDS = 2**31 - 1
"""Upper limit of seeds: RDKit takes a positive C int."""


def random_smiles(smiles: str, rng: np.random.Generator) -> str | None:
    """Returns a SMILES of the same molecule with a random start atom and random branches (Bjerrum 2017,
    arXiv:1703.07076); None if RDKit can't parse it."""
    from rdkit import Chem

    molecule = parse_smiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    return str(Chem.MolToRandomSmilesVect(molecule, 1, randomSeed=int(rng.integers(1, _SEEDS)))[0])

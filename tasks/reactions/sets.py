"""Sets of molecules in one SMILES, separated by dots, in any order."""

from __future__ import annotations

from mammal.tasks.molecules.chemistry import parse_smiles


def main_molecule(smiles: str) -> str:
    """Returns the molecule with the most heavy atoms, the first one of several; a single molecule stays unchanged."""
    parts = smiles.split(".")
    if len(parts) == 1:
        return smiles
    return max(parts, key=_heavy_atoms)


def _heavy_atoms(smiles: str) -> int:
    molecule = parse_smiles(smiles)
    return -1 if molecule is None else int(molecule.GetNumHeavyAtoms())

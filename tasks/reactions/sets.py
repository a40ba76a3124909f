"""Sets of molecules, as SMILES writes them: joined by dots, in whatever order."""

from __future__ import annotations

from mammal.tasks.molecules.chemistry import parse


def main_molecule(smiles: str) -> str:
    """The molecule with the most heavy atoms, the first of several; text that is no SMILES comes back as it is."""
    parts = smiles.split(".")
    if len(parts) == 1:
        return smiles
    return max(parts, key=_heavy_atoms)


def _heavy_atoms(smiles: str) -> int:
    molecule = parse(smiles)
    return -1 if molecule is None else int(molecule.GetNumHeavyAtoms())

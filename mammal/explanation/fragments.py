"""Fragments of values: parts that are masked together. Each part is in one fragment.

groups   molecules: ring systems, functional groups, and the chains of carbon between them
brics    molecules: what is left if the BRICS bonds (Degen et al. 2008, doi 10.1002/cmdc.200800178) are cut
atom     molecules: each atom alone
windows  residues, bases and tokens: a number of consecutive ones; a variant of DNA is always alone
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from mammal.explanation.parts import VARIANT, Parts
from mammal.explanation.smiles_atoms import molecule_as_written

if TYPE_CHECKING:
    from rdkit.Chem import Atom, Mol

    from mammal.explanation.content import Value

WINDOWS = 64
"""Number of windows of a value, at most, if the length of a window is not given."""


def fragments_of(value: Value, how: str, window: int | None = None) -> list[list[int]]:
    """Divides the parts of a value into fragments.

    Args:
        value: the value.
        how: how molecules are divided, a key of `DIVISIONS`.
        window: residues, bases or tokens of a window. None: as many as give at most `WINDOWS` windows.

    Returns:
        For each fragment the positions of its parts, in order of their first part.
    """
    if value.parts.kind == "atom":
        molecule = molecule_as_written(value.text)
        if molecule is None or molecule.GetNumAtoms() != len(value.parts):
            return [[part] for part in range(len(value.parts))]
        return DIVISIONS[how](molecule)
    return _windows(value.parts, window or -(-len(value.parts) // WINDOWS))


def fragment_text(value: Value, fragment: Sequence[int]) -> str:
    """Returns what a fragment is: the SMILES of its atoms, without the rest of the molecule, or its characters.

    Args:
        value: the value.
        fragment: positions of its parts in the fragment.
    """
    if value.parts.kind == "atom" and (molecule := molecule_as_written(value.text)) is not None:
        from rdkit import Chem

        return Chem.MolFragmentToSmiles(molecule, atomsToUse=list(fragment))
    return "".join(value.parts.parts[part].text for part in fragment)


def _windows(parts: Parts, size: int) -> list[list[int]]:
    found: list[list[int]] = []
    open_window: list[int] = []
    for number, part in enumerate(parts.parts):
        if part.kind == VARIANT:
            found += [open_window, [number]] if open_window else [[number]]
            open_window = []
            continue
        open_window.append(number)
        if len(open_window) == size:
            found.append(open_window)
            open_window = []
    return [*found, open_window] if open_window else found


def _groups(molecule: Mol) -> list[list[int]]:
    """Ring systems, connected functional atoms outside of rings, and connected carbons between them."""
    functional = {atom.GetIdx() for atom in molecule.GetAtoms() if _is_functional(atom)}

    def kind(atom: Atom) -> str:
        return "ring" if atom.IsInRing() else "functional" if atom.GetIdx() in functional else "chain"

    bonds = [
        (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
        for bond in molecule.GetBonds()
        if (kind(bond.GetBeginAtom()) == kind(bond.GetEndAtom()))
        and (bond.IsInRing() or not bond.GetBeginAtom().IsInRing())
    ]
    return _connected(molecule.GetNumAtoms(), bonds)


def _is_functional(atom: Atom) -> bool:
    """Whether an atom is part of a functional group: not a carbon, or a carbon with a multiple bond outside of rings
    (after Ertl 2017, doi 10.1186/s13321-017-0225-z)."""
    if atom.GetAtomicNum() not in (1, 6):
        return True
    multiple = (bond.GetBondTypeAsDouble() in (2.0, 3.0) and not bond.IsInRing() for bond in atom.GetBonds())
    return not atom.IsInRing() and any(multiple)


def _brics(molecule: Mol) -> list[list[int]]:
    from rdkit.Chem.BRICS import FindBRICSBonds

    cut = {frozenset(atoms) for atoms, _ in FindBRICSBonds(molecule)}
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in molecule.GetBonds()]
    return _connected(molecule.GetNumAtoms(), [bond for bond in bonds if frozenset(bond) not in cut])


def _atoms(molecule: Mol) -> list[list[int]]:
    return [[atom] for atom in range(molecule.GetNumAtoms())]


DIVISIONS: dict[str, Callable[[Mol], list[list[int]]]] = {"groups": _groups, "brics": _brics, "atom": _atoms}
"""How molecules can be divided."""


def _connected(atoms: int, bonds: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The sets of atoms that are connected by bonds, in order of their first atom."""
    of_atom = list(range(atoms))
    for begin, end in bonds:
        old, new = sorted((of_atom[begin], of_atom[end]), reverse=True)
        of_atom = [new if label == old else label for label in of_atom]
    found: dict[int, list[int]] = {}
    for atom, label in enumerate(of_atom):
        found.setdefault(label, []).append(atom)
    return list(found.values())

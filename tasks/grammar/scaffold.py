"""Scaffolds: molecules with attachment points, `*` or `[*:1]`, at which side chains are generated.

The scaffold's text is fixed and a side chain is generated at every `*`, so the scaffold is in every generated molecule.
The text is written by RDKit, starting from an atom that is not an attachment point, so that each point ends a branch.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mammal.tasks.errors import TaskError

if TYPE_CHECKING:
    from rdkit.Chem import Mol

POINT = "*"
_RING = re.compile(r"\[[^\[\]]*\]|%([0-9]{2})|([0-9])")
_HINT = "a SMILES with * or [*:1] where side chains belong, such as c1ccc(*)cc1"


class Piece(NamedTuple):
    """A piece of the scaffold's text, up to the next side chain.

    Attributes:
        text: the text.
        bond: symbol of the bond to the side chain after the text; None if no side chain follows.
        open_rings: numbers of the scaffold's ring bonds that are open at the end of the text.
    """

    text: str
    bond: str | None
    open_rings: frozenset[int]


def read_scaffold(scaffold: str) -> list[Piece]:
    """Divides the scaffold's text at its attachment points.

    Raises:
        TaskError: the scaffold can't be parsed, has no attachment point, or one with a charge, hydrogens or several
            bonds.
    """
    texts = _written(scaffold).split(POINT)
    pieces: list[Piece] = []
    rings: frozenset[int] = frozenset()
    for text in texts[:-1]:
        rings = _open_rings(text, rings)
        bond = text[-1] if text[-1] in "-=#$/\\" else ""
        pieces.append(Piece(text, bond, rings))
    return [*pieces, Piece(texts[-1], None, frozenset())]


def keeps_scaffold(smiles: str, scaffold: str) -> bool:
    """Whether a molecule contains the scaffold, with anything at its attachment points; False for invalid SMILES."""
    from rdkit import Chem

    molecule, wanted = Chem.MolFromSmiles(smiles), _read(scaffold)
    if molecule is None or wanted is None:
        return False
    query = Chem.AdjustQueryProperties(wanted, _query_settings())
    return bool(Chem.AddHs(molecule).HasSubstructMatch(query))


def _query_settings() -> object:
    from rdkit import Chem

    settings = Chem.AdjustQueryParameters.NoAdjustments()
    settings.makeDummiesQueries = True
    return settings


def _read(scaffold: str) -> Mol | None:
    """The scaffold with equal attachment points: their numbers are removed."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(scaffold)
    for atom in () if molecule is None else molecule.GetAtoms():
        atom.SetAtomMapNum(0)
        if atom.GetAtomicNum() == 0:
            atom.SetIsotope(0)  # RDKit numbers the attachment points of fragments by isotopes
    return molecule


def _written(scaffold: str) -> str:
    from rdkit import Chem

    molecule = _read(scaffold)
    if molecule is None:
        raise TaskError(f"the scaffold {scaffold!r} is not a molecule", hint=_HINT)
    points = [atom for atom in molecule.GetAtoms() if atom.GetAtomicNum() == 0]
    others = [atom.GetIdx() for atom in molecule.GetAtoms() if atom.GetAtomicNum()]
    if not points or not others:
        raise TaskError(f"the scaffold {scaffold!r} has no attachment point", hint=_HINT)
    for atom in points:
        if atom.GetDegree() != 1:
            what = f"an attachment point of the scaffold {scaffold!r} has {atom.GetDegree()} bonds"
            raise TaskError(what, hint="one bond leads to each")
        if atom.GetFormalCharge() or atom.GetTotalNumHs():
            what = f"an attachment point of the scaffold {scaffold!r} has a charge or hydrogens"
            raise TaskError(what, hint="write it as * or [*:1]: the side chain there is generated")
    if len(Chem.GetMolFrags(molecule)) > 1:
        raise TaskError(f"the scaffold {scaffold!r} is several molecules", hint="give one")
    return str(Chem.MolToSmiles(molecule, rootedAtAtom=others[0]))


def _open_rings(text: str, before: frozenset[int]) -> frozenset[int]:
    """Ring bonds that are open after a text."""
    found = set(before)
    for match in _RING.finditer(text):
        number = match[1] or match[2]
        if number is not None:
            found ^= {int(number)}
    return frozenset(found)

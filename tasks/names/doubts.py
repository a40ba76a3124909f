"""Reasons to doubt a structure that OPSIN gives without a warning of its own.

Each rule was measured with every fifth substance of `chemicals` 1.5.2 (40,585 synonyms that OPSIN 2.9 reads without
another doubt): the share of its structures whose InChIKey differs from that in the package is stated with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mammal.tasks.molecules.chemistry import parse_smiles
from mammal.tasks.names.metals import METALS

if TYPE_CHECKING:
    from rdkit.Chem import Mol

_ACID_OR_ESTER = re.compile(r"(?i)\b(?:acid|esters?)\b|(?<![a-z])mono")
"""Words of a neutral molecule: OPSIN 2.9 reads `monobutyl succinate` as an anion (60 of 65 differ)."""
_ANION = re.compile(r"(?i)oxido|sulfido|ato(?!m)|olate|ide\b|\d-\)")
"""Words of an anion, next to those."""
_NAMED_RADICAL = re.compile(r"(?i)\$l\^|λ|(?:silicon|germanium|tin|lead)\b|radical")
"""Words of names that mean open valences: `trioctylsilicon`."""
_RELATIVE = re.compile(r"(?i)(?<![a-z-])(?:cis|trans|exo|endo|syn|anti|threo|erythro)-")
"""Words of relative configuration. OPSIN 2.9 writes one enantiomer for `trans-cyclohexane-1,2-diol` (56 of 77 differ,
nearly all in stereochemistry)."""
_ABSOLUTE = re.compile(r"(?i)\((?:\d+[a-z]?'*)?[rs][,)]|(?<![a-z])[dl]-|\([+-]\)|alpha|beta|[αβ]")
"""Descriptors of absolute configuration, and of steroids and sugars."""
_UNKNOWN_RATIO = re.compile(r"\(\d+(?::[\d?]+)*:\?(?::[\d?]+)*\)|\(\?(?::[\d?]+)+\)")
"""Ratio of components that the name leaves open, `(1:?)` (26 of 43 differ)."""


def doubts_about(name: str, smiles: str) -> Iterator[str]:
    """Yields the reasons why a structure may differ from the meaning of its name.

    Args:
        name: the name that was read, all of its components.
        smiles: the structure that was read, all of its components.
    """
    if _UNKNOWN_RATIO.search(name) and "." in smiles:
        yield "the name leaves the ratio of the components open"
    if "[" not in smiles or (molecule := parse_smiles(smiles)) is None:
        return
    if metal := _neutral_metal(smiles):
        yield f"{metal} as a neutral atom: the salt of a weak acid?"
    yield from _doubts_about_charge(name, molecule, several="." in smiles)
    if not _NAMED_RADICAL.search(name) and (radical := _open_valence(molecule)):
        yield f"{radical} with an open valence: a part of the name in another place?"
    if _RELATIVE.search(name) and not _ABSOLUTE.search(name) and _is_chiral(molecule):
        yield "the name gives relative configuration, the SMILES absolute"


def _neutral_metal(smiles: str) -> str | None:
    """A metal atom without charge and bonds next to other components: `[Na].Oc1ccccc1`.

    OPSIN 2.9 reads `phenol sodium salt` in this way, because it removes protons only from stronger acids.
    """
    parts = smiles.split(".")
    return next((part for part in parts if len(parts) > 1 and part[:1] == "[" and part[1:-1] in METALS), None)


def _doubts_about_charge(name: str, molecule: Mol, *, several: bool) -> Iterator[str]:
    from rdkit import Chem

    charge = Chem.GetFormalCharge(molecule)
    if charge and several:  # 170 of 184 differ
        yield f"the components have the total charge {charge:+d}"
    elif charge < 0 and _ACID_OR_ESTER.search(name) and not _ANION.search(name):
        yield f"the name is of an acid or an ester, the SMILES of an ion with the charge {charge:+d}"


def _open_valence(molecule: Mol) -> str | None:
    """The symbol of a bound atom with unpaired electrons (56 of 108 differ): OPSIN 2.9 reads `dichloroethylaluminum` as
    `ClC(C[Al])Cl`. Lone ions such as `[Sb+3]` have them in RDKit's count, too."""
    atoms = (atom for atom in molecule.GetAtoms() if atom.GetDegree() and atom.GetNumRadicalElectrons())
    return next((str(atom.GetSymbol()) for atom in atoms), None)


def _is_chiral(molecule: Mol) -> bool:
    """Whether the tetrahedral centres of a molecule make it differ from its mirror image."""
    from rdkit import Chem

    mirrored = Chem.Mol(molecule)
    for atom in mirrored.GetAtoms():
        if atom.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED:
            atom.InvertChirality()
    return bool(Chem.MolToSmiles(mirrored) != Chem.MolToSmiles(molecule))

"""The SMILES alphabet: a token for each atom, bond, branch and ring closure, and for each printable ASCII character.

Atoms outside brackets are the organic subset of OpenSMILES (http://opensmiles.org/opensmiles.html, section 3.1). A
common bracket atom is one token. Other bracket atoms are written character by character, so nothing is unknown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

PATTERN = r"\[[^\[\]]+\]|Br|Cl|%[0-9][0-9]|."
"""Candidates for one token: a bracket atom, a two-letter atom, a two-digit ring closure, a character."""

MIN_COUNT = 3
"""How often a bracket atom must occur in the corpus to be a token. The rules below add further ones."""

PRINTABLE = tuple(map(chr, range(0x20, 0x7F)))

_ELEMENTS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc
Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi
Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
_STEREO_CENTRES = {  # element: what may follow its @ or @@
    "C": ("", "H", "-", "+"),
    "N": ("", "+", "H+"),
    "O": ("+",),
    "P": ("", "H", "+"),
    "S": ("", "+", "H"),
    "Si": ("", "H"),
    "Se": ("", "+"),
    "As": ("", "+"),
    "Ge": ("",),
    "B": ("-", "H-"),
}
_ISOTOPES = """
1H 2H 3H 2H+ 11C 11CH3 11CH2 12C 13C 13CH 13CH2 13CH3 13c 13cH 14C 14CH 14CH2 14CH3 14c 14cH 13C@H 13C@@H 13N 15N 15NH
15NH2 15NH3 15n 15nH 17O 18O 18OH 17F 18F 18F- 31P 32P 33P 33S 34S 35S 36Cl 75Se 76Br 77Br 89Zr 99Tc 99mTc 111In 123I
124I 125I 131I 68Ga 64Cu 177Lu 90Y 123I- 131I-
"""


def tokens(corpus: Iterable[str]) -> list[str]:
    """Returns every token in the order of ids: characters, two-letter atoms, ring closures 10-99, bracket atoms.

    Args:
        corpus: SMILES strings whose common bracket atoms become tokens.
    """
    counts = Counter(atom for smiles in corpus for atom in re.findall(r"\[[^\[\]]+\]", smiles))
    common = {atom for atom, count in counts.items() if count >= MIN_COUNT}
    rings = [f"%{number}" for number in range(10, 100)]
    return [*PRINTABLE, "Br", "Cl", *rings, *sorted(common | _atoms_by_rule())]


def _atoms_by_rule() -> set[str]:
    """Bracket atoms that are common in medicinal chemistry and are tokens even if the corpus lacks them."""
    atoms = {*_ELEMENTS.split(), *_ISOTOPES.split(), "*", "H+", "H-"}
    for element in ("B", "C", "N", "O", "Si", "P", "S", "Se"):
        atoms |= {f"{element}{hydrogens}{charge}" for hydrogens in ("", "H", "H2", "H3") for charge in ("", "+", "-")}
    for element in ("b", "c", "n", "o", "p", "s", "se", "as", "te"):
        atoms |= {element + rest for rest in ("", "H", "+", "-", "H+", "H-")}
    for element, endings in _STEREO_CENTRES.items():
        atoms |= {element + turn + ending for turn in ("@", "@@") for ending in endings}
    atoms |= {f"{halogen}{charge}" for halogen in ("F", "Cl", "Br", "I") for charge in ("-", "+")}
    return {f"[{atom}]" for atom in atoms}

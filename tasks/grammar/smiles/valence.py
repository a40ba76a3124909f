"""Valences accepted by RDKit's sanitisation, by element and charge, and Kekulé roles of aromatic atoms.

Valences are those of RDKit's periodic table (2025.09). A charged atom has the valences of the element with the same
number of electrons (N+ those of C, O- those of F). Negatively charged P, S, As and Se would get those of a halogen or
noble gas; they have their own maximum valence instead, reduced by the charge.
Some exotic cases that RDKit also allows (a bridging hydride) are not allowed here.
"""

from __future__ import annotations

from functools import lru_cache

_TABLE = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr
Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir
Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl
Mc Lv Ts Og
"""
SYMBOLS = _TABLE.split()
"""Symbols of the elements by atomic number, hydrogen first."""

NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS, 1)}

_VALENCES = {
    (0,): "He Ne Ar Kr Rn",
    (1,): "H F Cl Br Cs Fr",
    (2,): "Be O",
    (3,): "B N Al Ga In",
    (4,): "C Si Ge",
    (2, 4): "Sn Pb",
    (3, 5): "P As Sb Bi",
    (1, 3, 5): "I At",
    (2, 4, 6): "S Se Te Po",
    (0, 2, 4, 6): "Xe",
}
VALENCES = {symbol: valences for valences, symbols in _VALENCES.items() for symbol in symbols.split()}
"""Valences of neutral elements; elements that are not listed may have any valence."""

ANY = 7
"""Value for an unlimited valence: one more than the highest limited one."""

_KEEPS_ITS_OWN = {"P", "S", "As", "Se"}
_HALOGENS_OR_BEYOND = {(1,), (1, 3, 5), (0,), (0, 2, 4, 6)}

AROMATIC = {"b": "B", "c": "C", "n": "N", "o": "O", "p": "P", "s": "S", "se": "Se", "te": "Te", "as": "As", "si": "Si"}
"""Aromatic symbols that RDKit reads, and their elements."""

DOUBLE, SINGLE, WRONG = "D", "S", "."
"""Kekulé role of an aromatic atom: one double bond in the ring system; only single bonds; not valid as it is."""

_MOST_AROMATIC_BONDS = 4
_AROMATIC_CHARGES = {"s": (0, 1), "se": (0, 1), "te": (0, 1), "as": (0, 1), "si": (0,)}


@lru_cache(maxsize=4096)
def valences(symbol: str, charge: int) -> tuple[int, ...] | None:
    """Returns the valences that an atom may have, ascending; None for any."""
    own = VALENCES.get(symbol)
    if own is None or charge == 0:
        return own
    number = NUMBERS[symbol] - charge
    if not 0 < number <= len(SYMBOLS):
        return (0,) if number == 0 else None
    found = VALENCES.get(SYMBOLS[number - 1])
    if symbol in _KEEPS_ITS_OWN and charge < 0 and (found is None or found in _HALOGENS_OR_BEYOND):
        return (max(max(own) + charge, 0),)
    return found


def capacity(symbol: str, charge: int = 0, hydrogens: int = 0) -> int:
    """Returns the maximum number of bonds, counted by their order, of an atom in addition to its hydrogens.

    It is negative if there are too many hydrogens.
    """
    allowed = valences(symbol, charge)
    return ANY if allowed is None else max(allowed) - hydrogens


@lru_cache(maxsize=4096)
def kekule_roles(symbol: str, charge: int = 0, hydrogens: int = 0) -> str:
    """Returns the Kekulé role of an aromatic atom with 0, 1, 2 … bonds, counted by order, aromatic bonds as single.

    RDKit gives an atom a double bond if its bonds and hydrogens are fewer than its valence. For a number between two
    valences (S with three bonds) this depends on the ring, so such atoms are not allowed. Ions that RDKit reads as
    aromatic only in few cases are not allowed, either. The result is empty if no number of bonds is possible.

    Args:
        symbol: symbol as written in SMILES, such as `c` or `se`.
        charge: formal charge.
        hydrogens: number of explicit hydrogens.
    """
    allowed = valences(AROMATIC[symbol], charge)
    if allowed is None or charge not in _AROMATIC_CHARGES.get(symbol, (-1, 0, 1)):
        return ""
    roles = WRONG * 2  # an atom in a ring has at least two bonds
    for total in range(2 + hydrogens, _MOST_AROMATIC_BONDS + hydrogens + 1):
        roles += SINGLE if total in allowed else DOUBLE if total < min(allowed) else WRONG
    roles = roles.rstrip(WRONG)
    return roles if len(roles) > 2 else ""

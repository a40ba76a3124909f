"""Parsing of SMILES atoms to the properties that determine what may follow.

Source of the syntax: OpenSMILES (http://opensmiles.org/opensmiles.html), sections 3.1 and 3.2.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from mammal.tasks.grammar.smiles.valence import ANY, AROMATIC, NUMBERS, WRONG, capacity, kekule_roles

ORGANIC = ("B", "C", "N", "O", "P", "S", "F", "Cl", "Br", "I")
"""Atoms that need no brackets; hydrogens fill up their valence."""

ORGANIC_AROMATIC = ("b", "c", "n", "o", "p", "s")

FLAT = frozenset({"H", *AROMATIC})
"""Symbols that can't have `@`."""

BRACKET = re.compile(
    r"\[(?P<isotope>[1-9][0-9]{0,2})?(?P<symbol>[A-Z][a-z]?|[a-z]{1,2})(?P<turn>@{1,2})?(?:(?P<h>H)(?P<count>[1-9])?)?"
    r"(?P<charge>\+\+|--|[+-][1-9]?)?(?::[1-9][0-9]{0,2})?\]"
)


class BondingSite(NamedTuple):
    """The properties of an atom that determine its further bonds.

    Attributes:
        room: number of bonds that it may still have, counted by their order; `ANY` for no limit. 0 for aromatic atoms,
            which have `roles` instead.
        roles: aromatic atom: its Kekulé role with 0, 1, 2 … further bonds; empty for other atoms.
        ringed: aromatic atom: whether it is known to be in a ring.
    """

    room: int
    roles: str = ""
    ringed: bool = False

    def can_bond(self, order: int) -> bool:
        return len(self.roles) > order if self.roles else self.room >= order

    def bonded(self, order: int, *, ringed: bool = False) -> BondingSite:
        """Returns the atom with one more bond, which `can_bond` must allow."""
        if self.roles:
            return BondingSite(0, self.roles[order:], self.ringed or ringed)
        return self if self.room == ANY else BondingSite(self.room - order)

    @property
    def role(self) -> str:
        """The Kekulé role if no bond follows; `WRONG` as long as it is not in a ring, empty for aliphatic atoms."""
        return self.roles[:1] if self.ringed or not self.roles else WRONG


@lru_cache(maxsize=4096)
def bonding_site(symbol: str, charge: int = 0, hydrogens: int = 0) -> BondingSite | None:
    """Returns the atom of a symbol; None if there can't be such an atom.

    Args:
        symbol: symbol of the element, in lower case for aromatic atoms.
        charge: formal charge.
        hydrogens: number of explicit hydrogens; implicit ones are not counted.
    """
    if symbol in AROMATIC:
        roles = kekule_roles(symbol, charge, hydrogens)
        return BondingSite(0, roles) if roles else None
    if symbol not in NUMBERS or (symbol == "H" and hydrogens):
        return None
    room = capacity(symbol, charge, hydrogens)
    return BondingSite(room) if room >= 0 else None


@lru_cache(maxsize=4096)
def read_atom(text: str) -> BondingSite | None:
    """Parses an atom with or without brackets; None if the text is not an atom that may be generated."""
    if text in ORGANIC or text in ORGANIC_AROMATIC:
        return bonding_site(text)
    match = BRACKET.fullmatch(text)
    if match is None or (match["turn"] and match["symbol"] in FLAT):
        return None
    hydrogens = int(match["count"] or 1) if match["h"] else 0
    return bonding_site(match["symbol"], charge_of(match["charge"] or ""), hydrogens)


def charge_of(text: str) -> int:
    """Parses a charge: `+` is 1, `--` is -2, `+3` is 3, empty text is 0."""
    if not text:
        return 0
    size = int(text[1:]) if text[1:].isdigit() else len(text)
    return size if text[0] == "+" else -size

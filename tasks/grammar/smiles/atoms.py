"""Atoms as SMILES writes them, read into what matters for what may follow.

Source of the syntax: OpenSMILES (http://opensmiles.org/opensmiles.html), sections 3.1 and 3.2.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from mammal.tasks.grammar.smiles.valence import ANY, AROMATIC, NUMBERS, WRONG, capacity, kekule_roles

ORGANIC = ("B", "C", "N", "O", "P", "S", "F", "Cl", "Br", "I")
"""Atoms that need no brackets, with as many hydrogens as their valence leaves open."""

ORGANIC_AROMATIC = ("b", "c", "n", "o", "p", "s")

FLAT = frozenset({"H", *AROMATIC})
"""Symbols that take no `@`."""

BRACKET = re.compile(
    r"\[(?P<isotope>[1-9][0-9]{0,2})?(?P<symbol>[A-Z][a-z]?|[a-z]{1,2})(?P<turn>@{1,2})?(?:(?P<h>H)(?P<count>[1-9])?)?"
    r"(?P<charge>\+\+|--|[+-][1-9]?)?(?::[1-9][0-9]{0,2})?\]"
)


class Site(NamedTuple):
    """An atom, as far as further bonds are concerned.

    Attributes:
        room: bonds that it may still have, counted by their order, `ANY` for no limit; 0 for aromatic atoms, whose
            `roles` tell.
        roles: of an aromatic atom: its Kekulé role with 0, 1, 2 … further bonds; empty for others.
        ringed: an aromatic atom: known to be in a ring.
    """

    room: int
    roles: str = ""
    ringed: bool = False

    def can_bond(self, order: int) -> bool:
        return len(self.roles) > order if self.roles else self.room >= order

    def bonded(self, order: int, *, ringed: bool = False) -> Site:
        """The same atom with one bond more; `can_bond` says whether it may have it."""
        if self.roles:
            return Site(0, self.roles[order:], self.ringed or ringed)
        return self if self.room == ANY else Site(self.room - order)

    @property
    def role(self) -> str:
        """The Kekulé role if no bond follows; wrong as long as it is in no ring, empty for aliphatic atoms."""
        return self.roles[:1] if self.ringed or not self.roles else WRONG


@lru_cache(maxsize=4096)
def site_of(symbol: str, charge: int = 0, hydrogens: int = 0) -> Site | None:
    """The atom of a symbol, aromatic ones in lower case; None where it can't be.

    Args:
        hydrogens: written ones; those that an organic atom is given by its valence are not counted.
    """
    if symbol in AROMATIC:
        roles = kekule_roles(symbol, charge, hydrogens)
        return Site(0, roles) if roles else None
    if symbol not in NUMBERS or (symbol == "H" and hydrogens):
        return None
    room = capacity(symbol, charge, hydrogens)
    return Site(room) if room >= 0 else None


@lru_cache(maxsize=4096)
def read_atom(text: str) -> Site | None:
    """The atom that a text spells, with or without brackets; None where it is no atom that may be generated."""
    if text in ORGANIC or text in ORGANIC_AROMATIC:
        return site_of(text)
    match = BRACKET.fullmatch(text)
    if match is None or (match["turn"] and match["symbol"] in FLAT):
        return None
    hydrogens = int(match["count"] or 1) if match["h"] else 0
    return site_of(match["symbol"], charge_of(match["charge"] or ""), hydrogens)


def charge_of(text: str) -> int:
    """`+` 1, `--` -2, `+3` 3, nothing 0."""
    if not text:
        return 0
    size = int(text[1:]) if text[1:].isdigit() else len(text)
    return size if text[0] == "+" else -size

"""The state of a partial molecule, reduced to what determines its possible continuations.

Only atoms that may still get a bond are stored (sites): the current one, those with an open branch, and those with an
open ring bond. All of them are on the path from the first atom to the current one, because a ring bond that is opened
in a branch must be closed in it (as in all SMILES that are written depth first).

Kekulé structures of the partial molecule are stored as sets of the sites that already have their double bond: one bit
per site, one number per structure. A structure is removed if an atom that can't get further bonds has a wrong number of
double bonds in it. If no structure is left, the molecule can't be kekulised.
"""

from __future__ import annotations

from typing import NamedTuple

from mammal.tasks.grammar.smiles.atoms import BondingSite
from mammal.tasks.grammar.smiles.valence import DOUBLE, WRONG

START, ATOM, BRANCH, RETURN = "start", "atom", "branch", "return"
"""Position in a molecule: before its first atom, after an atom or its ring bonds, after `(`, after `)`."""


class Ring(NamedTuple):
    """An open ring bond: the site at which it starts, and the bond symbol written there."""

    site: int
    bond: str


class Partial(NamedTuple):
    """A partial molecule.

    Attributes:
        at: the position: START, ATOM, BRANCH or RETURN.
        bond: bond symbol at the end, empty for none.
        sites: stored atoms along the path, the current one last.
        stack: indices of the sites with an open branch, outermost first.
        rings: open ring bonds in the order of opening.
        gaps: for each site, whether there is an aromatic bond between it and the previous site that is not in a ring
            yet.
        near: bit set of the sites that are bonded to the current atom.
        doubled: Kekulé structures, each the bit set of the sites that have their double bond.
    """

    at: str = START
    bond: str = ""
    sites: tuple[BondingSite, ...] = ()
    stack: tuple[int, ...] = ()
    rings: tuple[Ring, ...] = ()
    gaps: tuple[bool, ...] = ()
    near: int = 0
    doubled: frozenset[int] = frozenset({0})

    @property
    def current(self) -> int:
        """Index of the current site."""
        return len(self.sites) - 1


def paired(doubled: frozenset[int], a: int, b: int) -> frozenset[int]:
    """Returns the Kekulé structures after an aromatic bond between sites a and b, which may become a double bond."""
    both = 1 << a | 1 << b
    return doubled | {structure | both for structure in doubled if not structure & both}


def is_kept(partial: Partial, index: int) -> bool:
    """Whether a site other than the current one may still get a bond."""
    return index in partial.stack or any(ring.site == index for ring in partial.rings)


def without(partial: Partial, index: int) -> Partial | None:
    """Returns the molecule without a site that gets no further bonds; None if the atom is not valid as it is."""
    site = partial.sites[index]
    doubled = partial.doubled
    if site.roles:
        if site.role == WRONG:
            return None
        bit = 1 << index if site.role == DOUBLE else 0
        doubled = frozenset(structure for structure in doubled if structure & 1 << index == bit)
        if not doubled:
            return None
    gaps = [*partial.gaps[:index], *partial.gaps[index + 1 :]]
    if index < len(gaps):
        gaps[index] = partial.gaps[index] or partial.gaps[index + 1]
    return partial._replace(
        sites=partial.sites[:index] + partial.sites[index + 1 :],
        stack=tuple(i - (i > index) for i in partial.stack),
        rings=tuple(Ring(i - (i > index), bond) for i, bond in partial.rings),
        gaps=tuple(gaps),
        near=_squeezed(partial.near, index),
        doubled=frozenset(_squeezed(structure, index) for structure in doubled),
    )


def _squeezed(bits: int, index: int) -> int:
    """The bit set without one bit; higher bits are shifted down."""
    low = (1 << index) - 1
    return bits & low | bits >> 1 & ~low

"""A half-written molecule, reduced to what decides how it may go on.

Only atoms that may still get a bond are kept: the current one, those at which a branch is open, and those with an open
ring bond. All of them lie on the path from the first atom to the current one, because a ring bond that is opened in a
branch must be closed in it (which every writer that walks a molecule depth first does).

Kekulé structures of what was written so far are kept as sets of the kept atoms that already have their double bond: one
bit a site, one number a structure. A structure in which an atom that is left behind has a wrong number of double bonds
is struck out; with none left, the molecule can't be kekulised any more.
"""

from __future__ import annotations

from typing import NamedTuple

from mammal.tasks.grammar.smiles.atoms import Site
from mammal.tasks.grammar.smiles.valence import DOUBLE, WRONG

START, ATOM, BRANCH, RETURN = "start", "atom", "branch", "return"
"""Where a molecule stands: before an atom of its own, behind an atom or its ring bonds, behind `(`, behind `)`."""


class Ring(NamedTuple):
    """An open ring bond: the site that it starts from, and the bond symbol written there."""

    site: int
    bond: str


class Partial(NamedTuple):
    """A half-written molecule.

    Attributes:
        at: where it stands.  bond: bond symbol behind it, empty for none.
        sites: kept atoms along the path, the current one last.
        stack: indices of the sites at which a branch is open, outermost first.
        rings: open ring bonds in the order of opening.
        gaps: for each site, whether an aromatic bond lies between it and the site before that no ring goes over yet.
        near: bit set of the sites that the current atom is bonded to.
        doubled: Kekulé structures: each the bit set of the sites that have their double bond.
    """

    at: str = START
    bond: str = ""
    sites: tuple[Site, ...] = ()
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
    """The structures after an aromatic bond between sites a and b, which may become a double one."""
    both = 1 << a | 1 << b
    return doubled | {structure | both for structure in doubled if not structure & both}


def is_kept(partial: Partial, index: int) -> bool:
    """Whether a site other than the current one may still get a bond."""
    return index in partial.stack or any(ring.site == index for ring in partial.rings)


def without(partial: Partial, index: int) -> Partial | None:
    """The molecule with a site left behind for good; None where that atom can't stay as it is."""
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
    """The bit set without this bit, those above it moved down."""
    low = (1 << index) - 1
    return bits & low | bits >> 1 & ~low

"""Steps that extend a partial molecule: atoms, bonds, branches, ring bonds, dots.

Each function returns the molecule after the step, or None if the step is not allowed. Bonds between aromatic atoms
without a symbol are aromatic and must end up in a ring; `-` is a single bond. Atoms without a maximum valence, mostly
metals, are not allowed in rings: RDKit may read their bonds as dative bonds, which do not form rings.
"""

from __future__ import annotations

from mammal.tasks.grammar.smiles.atoms import BondingSite
from mammal.tasks.grammar.smiles.state import ATOM, BRANCH, RETURN, START, Partial, Ring, is_kept, paired, without
from mammal.tasks.grammar.smiles.valence import ANY

ORDER = {"": 1, "-": 1, "=": 2, "#": 3, "$": 4, ":": 1, "/": 1, "\\": 1}
"""Bond symbol -> valence that it uses; `/` and `\\` are single bonds with a direction."""

OPENS = frozenset({"", "-", "=", "/", "\\"})
"""Bonds that may be written at the opening of a ring; a triple bond is written at its closing."""

_SINGLE = frozenset("-/\\")
_MOST_SITES = 64
_MOST_STRUCTURES = 256


def add_atom(partial: Partial, atom: BondingSite) -> Partial | None:
    """Adds an atom, bonded to the current one by the last bond symbol, if there is one."""
    if partial.at == START:
        return Partial(ATOM, sites=(atom,), gaps=(False,))
    order, parent = ORDER[partial.bond], partial.current
    before = partial.sites[parent]
    aromatic = bool(before.roles and atom.roles) and partial.bond in ("", ":")
    if (partial.bond == ":" or aromatic) and not (aromatic and partial.rings):
        return None
    if len(partial.sites) == _MOST_SITES or not (before.can_bond(order) and atom.can_bond(order)):
        return None
    if atom.room == ANY and partial.rings:  # a metal: it gets no further bonds, so that it is not in a ring
        atom = BondingSite(order)
    bonded = before.bonded(order, ringed=aromatic)
    doubled = paired(partial.doubled, parent, parent + 1) if aromatic else partial.doubled
    if len(doubled) > _MOST_STRUCTURES:
        return None
    longer = partial._replace(
        at=ATOM,
        bond="",
        sites=(*partial.sites[:-1], bonded, atom.bonded(order, ringed=aromatic)),
        gaps=(*partial.gaps, aromatic),
        near=1 << parent,
        doubled=doubled,
    )
    return longer if is_kept(longer, parent) else without(longer, parent)


def add_bond(partial: Partial, bond: str) -> Partial | None:
    """Adds a bond symbol after the current atom."""
    if partial.at == START or partial.bond or not partial.sites[-1].can_bond(ORDER[bond]):
        return None
    if bond == ":" and not partial.sites[-1].roles:
        return None
    return partial._replace(bond=bond)


def open_ring(partial: Partial) -> Partial | None:
    """Opens a ring bond at the current atom."""
    order = ORDER[partial.bond]
    if partial.at != ATOM or partial.bond not in OPENS or not partial.sites[-1].can_bond(order):
        return None
    if partial.sites[-1].room == ANY:
        return None
    site = partial.sites[-1].bonded(order, ringed=True)
    rings = (*partial.rings, Ring(partial.current, partial.bond))
    return partial._replace(bond="", sites=(*partial.sites[:-1], site), rings=rings)


def close_ring(partial: Partial, number: int) -> Partial | None:
    """Closes the open ring bond with index `number` at the current atom."""
    (start, opened), end = partial.rings[number], partial.current
    bond = _agreed(opened, partial.bond)
    if partial.at != ATOM or bond is None or start == end or partial.near & 1 << start:
        return None
    sites = list(partial.sites)
    both_aromatic = bool(sites[start].roles and sites[end].roles)
    if bond == ":" and not both_aromatic:
        return None
    extra = ORDER[bond] - ORDER[opened]
    if not (sites[start].can_bond(extra) and sites[end].can_bond(ORDER[bond])):
        return None
    sites[start] = sites[start].bonded(extra, ringed=True)
    sites[end] = sites[end].bonded(ORDER[bond], ringed=True)
    aromatic = both_aromatic and bond in ("", ":")
    closed = partial._replace(
        bond="",
        sites=tuple(sites),
        rings=partial.rings[:number] + partial.rings[number + 1 :],
        gaps=tuple(gap and index <= start for index, gap in enumerate(partial.gaps)),
        near=partial.near | 1 << start,
        doubled=paired(partial.doubled, start, end) if aromatic else partial.doubled,
    )
    if not _gaps_can_close(closed) or len(closed.doubled) > _MOST_STRUCTURES:
        return None
    return closed if is_kept(closed, start) else without(closed, start)


def open_branch(partial: Partial) -> Partial | None:
    if partial.at not in (ATOM, RETURN) or partial.bond or not partial.sites[-1].can_bond(1):
        return None
    return partial._replace(at=BRANCH, stack=(*partial.stack, partial.current))


def close_branch(partial: Partial) -> Partial | None:
    """Returns to the atom at which the branch started; all ring bonds opened in the branch must be closed."""
    if partial.at not in (ATOM, RETURN) or partial.bond or not partial.stack:
        return None
    root = partial.stack[-1]
    if any(ring.site > root for ring in partial.rings) or any(partial.gaps[root + 1 :]):
        return None
    back: Partial | None = partial
    while back is not None and back.current > root:
        back = without(back, back.current)
    return back and back._replace(at=RETURN, stack=back.stack[:-1], near=0)


def add_dot(partial: Partial) -> Partial | None:
    """Starts a new molecule after a complete one."""
    return Partial() if is_complete(partial) else None


def is_complete(partial: Partial) -> bool:
    """Whether the molecule is complete."""
    if partial.at not in (ATOM, RETURN) or partial.bond or partial.stack or partial.rings:
        return False
    return without(partial, partial.current) is not None


def _agreed(opened: str, closed: str) -> str | None:
    """The bond of a ring from the symbols at its two ends; None if they contradict each other."""
    if not opened or not closed:
        return opened or closed
    return opened if opened == closed or {opened, closed} <= _SINGLE else None


def _gaps_can_close(partial: Partial) -> bool:
    """Whether an open ring bond starts before every aromatic bond that is not in a ring yet."""
    first = next((index for index, gap in enumerate(partial.gaps) if gap), None)
    return first is None or any(ring.site < first for ring in partial.rings)

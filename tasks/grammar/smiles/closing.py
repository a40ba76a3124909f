"""The number of tokens that finish a partial molecule.

The number is that of one plan that can always be followed; a shorter end may exist. The plan goes from the innermost
branch outwards. In each branch it adds carbon atoms that close the ring bonds that must be closed there, then it closes
the branch. It adds aromatic carbon if an atom still needs a double bond, and aliphatic carbon otherwise. An aromatic
atom that can't get its double bond within its rings gets a carbon outside of them, as in `c(=C)` and `n(C)`. A token is
allowed only if there is a plan after it. So generation never reaches a dead end: after the next token of a plan, there
is always a shorter plan.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf

from mammal.tasks.grammar.smiles.atoms import BondingSite, bonding_site
from mammal.tasks.grammar.smiles.state import ATOM, RETURN, START, Partial, Ring
from mammal.tasks.grammar.smiles.steps import add_atom, close_ring, open_ring
from mammal.tasks.grammar.smiles.valence import DOUBLE, SINGLE, WRONG

_MEMORY = 1 << 17
_PER_RING = 2  # a carbon atom and the ring bond that it closes


def _carbon(symbol: str) -> BondingSite:
    site = bonding_site(symbol)
    assert site is not None, "carbon has its valences"
    return site


FILLERS = (_carbon("C"), _carbon("c"))


def enough(partial: Partial) -> float:
    """Returns an upper bound of `least`, computed faster and rarely higher, for use if many tokens are left."""
    if partial.at in (ATOM, RETURN) and not partial.bond and (found := _plan(partial)) < inf:
        return found
    return least(partial)


@lru_cache(maxsize=_MEMORY)
def least(partial: Partial) -> float:
    """Returns the number of tokens that finish the molecule by its plan; infinite if there is no plan."""
    if partial.at == START:
        return 1
    if partial.at in (ATOM, RETURN) and not partial.bond:
        return _least_at_end(partial)
    nexts = [add_atom(partial, filler) for filler in FILLERS]
    if partial.at == ATOM:
        nexts += [close_ring(partial, number) for number in range(len(partial.rings))]
    return 1 + min((_least_at_end(after) for after in nexts if after is not None), default=inf)


def _least_at_end(partial: Partial) -> float:
    """As `least`, for a molecule that ends with an atom, a ring bond or a branch."""
    found = _plan(partial)
    if partial.at == ATOM:
        nexts = [close_ring(partial, number) for number in range(len(partial.rings))]
        nexts += [open_ring(partial)] if partial.sites[-1].roles else []
        found = min([found, *(1 + _plan(after) for after in nexts if after is not None)])
    return found


@lru_cache(maxsize=_MEMORY)
def _plan(partial: Partial) -> float:
    return min(_Plan(partial, structure).tokens() for structure in partial.doubled)


class _Plan:
    """The plan for one Kekulé structure of the partial molecule."""

    def __init__(self, partial: Partial, structure: int):
        self.partial = partial
        self.structure = structure
        self.rings = list(partial.rings)
        self.gaps = list(partial.gaps)

    def tokens(self) -> float:
        total: float = 0
        end = self.partial.current
        for root in (*reversed(self.partial.stack), -1):
            total += self._branch(root, end)
            if total == inf or root < 0:
                break
            total += 1
            end = root
        return total

    def _branch(self, root: int, end: int) -> float:
        """Number of tokens that finish the branch from site `root` to site `end`, without the `)`."""
        site = self.partial.sites[end]
        own = [ring for ring in self.rings if ring.site > root]
        gap = next((index for index in range(root + 1, end + 1) if self.gaps[index]), None)
        if not own and gap is None and (tokens := self._substituted(site, end)) < inf:
            return tokens if self._others_fit(root, end) else inf
        closed = self._to_close(own, root, gap)
        if not closed or not site.can_bond(1):
            return inf
        extra = self._first_atoms(site, end, closed)
        if extra == inf:
            return inf
        self._close(closed)
        return extra + _PER_RING * len(closed) if self._others_fit(root, end) else inf

    def _substituted(self, site: BondingSite, end: int) -> float:
        """Number of tokens of the substituent that the last atom needs: none, singly or doubly bonded carbon."""
        if self._fits(end, site.role):
            return 0
        further = site.roles[1:3] if site.ringed else ""
        return next((tokens for tokens, role in enumerate(further, 1) if self._fits(end, role)), inf)

    def _to_close(self, own: list[Ring], root: int, gap: int | None) -> list[Ring]:
        """The ring bonds to close: those of the branch, and the nearest one outside if they don't span its aromatic
        bonds."""
        if own and (gap is None or min(ring.site for ring in own) < gap):
            return own
        outer = [ring for ring in self.rings if ring.site <= root]
        return [*own, max(outer, key=lambda ring: ring.site)] if outer else []

    def _first_atoms(self, site: BondingSite, end: int, closed: list[Ring]) -> float:
        """Number of atoms before those that close rings: for a double bond, to form a ring, or to avoid a bond between
        neighbours."""
        alone = all(ring.site == end for ring in closed)
        if not site.roles:
            return 1 if alone else 0
        role, has_double = site.roles[1], bool(self.structure & 1 << end)
        if role == WRONG or (role == SINGLE and has_double):
            return inf
        if role == DOUBLE and not has_double:
            self.structure |= 1 << end
            return 1
        if not site.ringed:
            return 2  # aromatic carbons that share a double bond
        return 1 if alone else 0

    def _close(self, closed: list[Ring]) -> None:
        """Closes rings; if a ring's first atom needs a double bond, it shares one with the closing aromatic carbon."""
        for ring in closed:
            self.rings.remove(ring)
            if ring.bond == "" and self.partial.sites[ring.site].role == DOUBLE:
                self.structure |= 1 << ring.site
        top = min(ring.site for ring in closed)
        self.gaps = [gap and index <= top for index, gap in enumerate(self.gaps)]

    def _others_fit(self, root: int, end: int) -> bool:
        """Whether all atoms of the branch except its end have their double bonds; the end was handled before."""
        return all(self._fits(index, self.partial.sites[index].role) for index in range(root + 1, end))

    def _fits(self, index: int, role: str) -> bool:
        return not role or (role != WRONG and (role == DOUBLE) == bool(self.structure & 1 << index))

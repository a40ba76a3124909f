"""The allowed steps of a partial molecule, and the number of tokens that finish it afterwards."""

from __future__ import annotations

from functools import cached_property, lru_cache
from math import isfinite

from mammal.tasks.grammar.smiles.atoms import BondingSite
from mammal.tasks.grammar.smiles.brackets import SITES
from mammal.tasks.grammar.smiles.closing import enough, least
from mammal.tasks.grammar.smiles.state import Partial
from mammal.tasks.grammar.smiles.steps import (
    ORDER,
    add_atom,
    add_bond,
    add_dot,
    close_branch,
    close_ring,
    open_branch,
    open_ring,
)

Step = BondingSite | str | int
"""An atom; a bond symbol, `(`, `)`, `.` or `OPEN`; or the index of the open ring bond to close."""

OPEN = "open"
BONDS = tuple(bond for bond in ORDER if bond)

_MEMORY = 1 << 14
_MOST_RINGS = 6


class Steps:
    """The allowed steps of a partial molecule.

    Attributes:
        after: step -> the molecule after it.
        enough: step -> number of tokens that is enough to finish the molecule after it; `left` may be lower.
        most: the highest of these numbers.
    """

    def __init__(self, after: dict[Step, Partial]):
        tokens = {step: enough(partial) for step, partial in after.items()}
        self.enough = {step: int(number) for step, number in tokens.items() if isfinite(number)}
        self.after = {step: after[step] for step in self.enough}
        self.most = max(self.enough.values(), default=0)

    @cached_property
    def left(self) -> dict[Step, int]:
        """Step -> the lowest known number of tokens that finish the molecule after it."""
        return {step: int(least(partial)) for step, partial in self.after.items()}


@lru_cache(maxsize=_MEMORY)
def steps(partial: Partial) -> Steps:
    """Returns the allowed steps of a partial molecule."""
    found: dict[Step, Partial | None] = {site: add_atom(partial, site) for site in SITES}
    found |= {bond: add_bond(partial, bond) for bond in BONDS}
    found |= {"(": open_branch(partial), ")": close_branch(partial), ".": add_dot(partial)}
    if len(partial.rings) < _MOST_RINGS:
        found[OPEN] = open_ring(partial)
    found |= {number: close_ring(partial, number) for number in range(len(partial.rings))}
    return Steps({step: result for step, result in found.items() if result is not None})

"""SMILES as a part of a target, by the state machine in C++ (`engine.cpp`) if it is built, else by the one in Python.

Both give equal masks. Installing the package builds the C++ module where a compiler is found.

Shapes: V columns.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from mammal.tasks.grammar.parts import MaskCache
from mammal.tasks.grammar.smiles.automaton import BONDS
from mammal.tasks.grammar.smiles.brackets import SITES, Bracket, following, outcomes
from mammal.tasks.grammar.smiles.closing import FILLERS
from mammal.tasks.grammar.smiles.part import SmilesPart
from mammal.tasks.grammar.smiles.steps import ORDER
from mammal.tasks.grammar.smiles.valence import DOUBLE, SINGLE, WRONG

_ENGINE = "mammal.tasks.grammar.smiles._engine"
_ROLES = {DOUBLE: 1, SINGLE: 2, WRONG: 3}


def is_built() -> bool:
    """Whether the state machine in C++ is installed."""
    return find_spec(_ENGINE) is not None


def smiles_part_class() -> type[SmilesPart]:
    """The faster of the two classes that is installed."""
    return NativeSmilesPart if is_built() else SmilesPart


class NativeWritten(NamedTuple):
    """The state within a SMILES.

    Attributes:
        molecule: the partial molecule, with the numbers of its open ring bonds.
        bracket: the bracket atom that is being written, if any.
    """

    molecule: Any
    bracket: Bracket | None = None


class NativeSmilesPart(SmilesPart):
    """As `SmilesPart`, with partial molecules in C++. Bracket atoms written by characters are followed in Python."""

    def _set_up(self, width: int) -> None:
        native = _module()
        self._engine = native.Engine(*_tables(), sorted(self._labels))
        bond = self._side_chain
        root = native.Partial() if bond is None else native.Partial.side_chain(list(ORDER).index(bond), ORDER[bond])
        self._native_start = NativeWritten(root)
        self._sites = {site: index for index, site in enumerate(SITES)}
        self._class_V = self._classes(width)
        self._by_classes: dict[bytes, np.ndarray] = {}

    def _classes(self, width: int) -> np.ndarray:
        """The class of each column, -1 for none."""
        engine = self._engine
        numbers: dict[Any, int] = dict(self._sites)
        numbers |= {bond: engine.class_of_bond(list(ORDER).index(bond)) for bond in BONDS}
        numbers |= {"(": engine.open_branch, ")": engine.close_branch, ".": engine.dot}
        class_V = np.full(width, -1)
        for column, step in self._steps.items():
            class_V[column] = numbers[step]
        for label, column in self._labels.items():
            class_V[column] = engine.class_of_ring(label)
        if self._spells:
            class_V[self._characters["["]] = engine.bracket
        return class_V

    def start(self) -> NativeWritten:  # type: ignore[override]
        return self._native_start

    def left(self, state: NativeWritten) -> int:  # type: ignore[override]
        """Returns the number of tokens that finish the molecule."""
        molecule, bracket = state
        if bracket is None:
            return 0 if molecule.is_complete() else int(self._engine.least(molecule))
        return self._spelled(self._after_atoms(molecule, 0), bracket)

    def ends(self, state: NativeWritten) -> bool:  # type: ignore[override]
        return state[1] is None and state[0].is_complete()

    def mask(self, state: NativeWritten, left: int) -> np.ndarray:  # type: ignore[override]
        molecule, bracket = state
        if bracket is not None:
            columns = self._allowed_characters(bracket, self._after_atoms(molecule, left), left - 1)
            return self._masks.of(sorted(columns))
        allowed = self._engine.allowed(molecule, left)
        found = self._by_classes.get(allowed)
        return self._expanded(allowed) if found is None else found

    def _expanded(self, allowed: bytes) -> np.ndarray:
        """The mask of a set of classes; the same array for equal sets."""
        bits = np.unpackbits(np.frombuffer(allowed, np.uint8), bitorder="little").astype(bool)
        mask = bits[self._class_V] & (self._class_V >= 0)
        if len(self._by_classes) >= MaskCache.MOST:
            self._by_classes.clear()
        found = self._by_classes[allowed] = self._masks.of(np.flatnonzero(mask).tolist())
        return found

    def _after_atoms(self, molecule: Any, left: int) -> dict[Any, int]:
        """Atom -> number of tokens that finish the molecule after it."""
        numbers = self._engine.after_atoms(molecule, left)
        never = _module().NEVER
        return {site: number for site, number in zip(SITES, numbers, strict=True) if number < never}

    def advance(self, state: NativeWritten, column: int) -> NativeWritten:  # type: ignore[override]
        molecule, bracket = state
        if bracket is not None:
            if column != self._characters["]"]:
                return NativeWritten(molecule, following(bracket)[self._character_at[column]])
            assert bracket.site is not None, "the mask allowed it"
            return NativeWritten(self._engine.advance(molecule, self._sites[bracket.site]))
        step = int(self._class_V[column])
        if step == self._engine.bracket:
            return NativeWritten(molecule, Bracket())
        return NativeWritten(self._engine.advance(molecule, step))


@cache
def _module() -> ModuleType:
    import importlib

    return importlib.import_module(_ENGINE)


@cache
def _tables() -> tuple[list[tuple[int, bool, int]], list[int], list[int]]:
    """Atoms as (room, ringed, roles), the characters of the shortest bracket atom with each, and indices of fillers."""
    sites = [(site.room, site.ringed, sum(_ROLES[r] << 2 * n for n, r in enumerate(site.roles))) for site in SITES]
    characters = outcomes(Bracket())
    spelled = [characters.get(site, _module().NEVER) for site in SITES]
    return sites, spelled, [SITES.index(filler) for filler in FILLERS]

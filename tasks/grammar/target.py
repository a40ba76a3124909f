"""The grammar of a whole target: a sequence of parts.

A part ends when the next one begins. No token can both continue a part and begin the next one.
Shapes: V ids that the grammar can allow in any state.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tasks.grammar.parts import AMPLE, MaskCache, Part


class Place(NamedTuple):
    """Index of the current part, and its own state; after `<EOS>`, the index is the number of parts."""

    part: int
    state: Any


class TargetGrammar:
    """The grammar of a target (interface: `mammal.tasks.grammar.grammar.Grammar`).

    Args:
        ids_V: sorted ids of the columns of the parts.
        parts: the parts in order; the last one ends with `<EOS>`.

    Raises:
        TaskError: the end of a part can't be recognised.
    """

    def __init__(self, ids_V: np.ndarray, parts: Sequence[Part]):
        self.ids_V = ids_V
        self.parts = tuple(parts)
        least = [part.left(part.start()) for part in self.parts]
        self.least_new_tokens = sum(least)
        self._owed = [sum(least[number + 1 :]) for number in range(len(least))]
        self._nothing = MaskCache(len(ids_V)).of([])
        self._unions: dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        for part, following in pairwise(self.parts):
            if part.is_open and part.columns & set(np.flatnonzero(following.mask(following.start(), AMPLE))):
                hint = "put a tag between them, such as <SENTINEL_ID_1>, or set generation.constraint: alphabet"
                raise TaskError("two slots of the target follow each other without a tag that parts them", hint=hint)

    def start(self) -> Place:
        """Returns the state before the first token."""
        return Place(0, self.parts[0].start())

    def mask(self, state: Place, left: int) -> np.ndarray:
        """Returns whether each column of `ids_V` may come next, bool [V]; see `Grammar.mask`."""
        if state.part == len(self.parts):
            return self._nothing
        part = self.parts[state.part]
        mask = part.mask(state.state, left - self._owed[state.part])
        if not part.ends(state.state):
            return mask
        return self._union(mask, self.mask(self._behind(state), left))

    def advance(self, state: Place, column: int) -> Place:
        """Returns the state after a token that `mask` allowed."""
        part = self.parts[state.part]
        while part.ends(state.state) and not (part.is_open and column in part.columns):
            state = self._behind(state)
            part = self.parts[state.part]
        after = Place(state.part, part.advance(state.state, column))
        is_over = after.part == len(self.parts) - 1 and not part.is_open and part.ends(after.state)
        return Place(len(self.parts), None) if is_over else after

    def _behind(self, state: Place) -> Place:
        number = state.part + 1
        return Place(number, self.parts[number].start() if number < len(self.parts) else None)

    def _union(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The union of two masks, cached by their Python ids, as equal masks share one array.

        The cache also holds the two masks, so that their ids are not reused.
        """
        key = (id(a), id(b))
        if key not in self._unions:
            if len(self._unions) >= MaskCache.MOST:
                self._unions.clear()
            union = a | b
            union.flags.writeable = False
            self._unions[key] = (a, b, union)
        return self._unions[key][2]

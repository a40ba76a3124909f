"""Parts of a target: each has its own language, and a target is parts in a row.

Shapes: V columns, those of the grammar that the part belongs to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

_MOST_MASKS = 1 << 14
"""A half-written molecule with the steps from it takes some 25 KB, so that these are at most 400 MB."""

AMPLE = 1 << 20
"""Tokens left where their number is no matter."""


class Part(ABC):
    """The language of one stretch of a target. States are immutable and hashable.

    Attributes:
        columns: every column that it may allow where it may also be over.
        is_open: whether it may be over and yet go on.
    """

    columns: frozenset[int]
    is_open = True

    @abstractmethod
    def start(self) -> Any:
        """The state before its first token."""

    @abstractmethod
    def left(self, state: Any) -> int:
        """The fewest tokens that finish the part from here."""

    def ends(self, state: Any) -> bool:
        """Whether the part may be over here."""
        return self.left(state) == 0

    @abstractmethod
    def mask(self, state: Any, left: int) -> np.ndarray:
        """Its columns that may come next, read-only bool [V]: those after which it can be finished in time.

        Args:
            left: tokens that the part may still take, the next one included.
        """

    @abstractmethod
    def advance(self, state: Any, column: int) -> Any:
        """The state after an allowed column."""


class MaskCache:
    """Masks by key; equal masks are one array."""

    def __init__(self, width: int):
        self._width = width
        self._by_key: dict[Hashable, np.ndarray] = {}
        self._by_columns: dict[tuple[int, ...], np.ndarray] = {}

    def get(self, key: Hashable) -> np.ndarray | None:
        return self._by_key.get(key)

    def put(self, key: Hashable, columns: Iterable[int]) -> np.ndarray:
        """Keeps and gives the mask of these columns."""
        if len(self._by_key) >= _MOST_MASKS:
            self._by_key.clear()
        if len(self._by_columns) >= _MOST_MASKS:
            self._by_columns.clear()
        mask = self._by_key[key] = self.of(columns)
        return mask

    def of(self, columns: Iterable[int]) -> np.ndarray:
        """The mask of these columns."""
        columns = tuple(columns)
        if columns not in self._by_columns:
            mask = np.zeros(self._width, dtype=bool)
            mask[list(columns)] = True
            mask.flags.writeable = False
            self._by_columns[columns] = mask
        return self._by_columns[columns]


class Begun(Part):
    """A part of which something is written already."""

    def __init__(self, part: Part, state: Any):
        self._part, self._begin = part, state
        self.columns = part.columns

    def start(self) -> Any:
        return self._begin

    def left(self, state: Any) -> int:
        return self._part.left(state)

    def ends(self, state: Any) -> bool:
        return self._part.ends(state)

    def mask(self, state: Any, left: int) -> np.ndarray:
        return self._part.mask(state, left)

    def advance(self, state: Any, column: int) -> Any:
        return self._part.advance(state, column)


class Literal(Part):
    """Tokens that stand there whatever is generated. The state counts them."""

    is_open = False

    def __init__(self, columns: Sequence[int], width: int):
        self.columns = frozenset(columns)
        cache = MaskCache(width)
        self._masks = [*(cache.of([column]) for column in columns), cache.of([])]
        self._nothing = self._masks[-1]

    def start(self) -> int:
        return 0

    def left(self, state: int) -> int:
        return len(self._masks) - 1 - state

    def mask(self, state: int, left: int) -> np.ndarray:
        return self._masks[state] if left >= self.left(state) else self._nothing

    def advance(self, state: int, column: int) -> int:
        return state + 1


class Run(Part):
    """One or more tokens of an alphabet, in any order. The state says whether there is one."""

    def __init__(self, columns: Iterable[int], width: int):
        self.columns = frozenset(columns)
        cache = MaskCache(width)
        self._any, self._nothing = cache.of(sorted(self.columns)), cache.of([])

    def start(self) -> bool:
        return False

    def left(self, state: bool) -> int:
        return 0 if state else 1

    def mask(self, state: bool, left: int) -> np.ndarray:
        return self._any if left >= 1 else self._nothing

    def advance(self, state: bool, column: int) -> bool:
        return True


class Codes(Part):
    """One of several codes, each a few tokens; none begins another. The state is what was said of it."""

    is_open = False

    def __init__(self, codes: Iterable[Sequence[int]], width: int):
        self._cache = MaskCache(width)
        self._left: dict[tuple[int, ...], int] = {}
        spelt = [tuple(code) for code in codes]
        self.columns = frozenset(column for code in spelt for column in code)
        for code in spelt:
            for said in range(len(code) + 1):
                head, left = code[:said], len(code) - said
                self._left[head] = min(self._left.get(head, left), left)

    def start(self) -> tuple[int, ...]:
        return ()

    def left(self, state: tuple[int, ...]) -> int:
        return self._left[state]

    def mask(self, state: tuple[int, ...], left: int) -> np.ndarray:
        key = (state, min(left, len(self._left)))
        found = self._cache.get(key)
        if found is not None:
            return found
        longer = [said for said in self._left if len(said) == len(state) + 1 and said[:-1] == state]
        return self._cache.put(key, [said[-1] for said in longer if self._left[said] < left])

    def advance(self, state: tuple[int, ...], column: int) -> tuple[int, ...]:
        return (*state, column)


class Number(Part):
    """A plain decimal number, `-1.25`, a token a character. The state is what stands before: `+`, `1`, `.` or `.1`."""

    _AFTER: Mapping[str, Mapping[str, str]] = {
        "": {"+-": "+", "0123456789": "1"},
        "+": {"0123456789": "1"},
        "1": {"0123456789": "1", ".": "."},
        ".": {"0123456789": ".1"},
        ".1": {"0123456789": ".1"},
    }

    def __init__(self, columns: Mapping[str, int], width: int):
        self.columns = frozenset(columns.values())
        cache = MaskCache(width)
        self._after: dict[str, dict[int, str]] = {}
        for state, nexts in self._AFTER.items():
            pairs = {columns[c]: after for characters, after in nexts.items() for c in characters if c in columns}
            self._after[state] = pairs
        self._masks = {state: cache.of(sorted(nexts)) for state, nexts in self._after.items()}
        last = {state: [c for c, after in nexts.items() if self.ends(after)] for state, nexts in self._after.items()}
        self._last = {state: cache.of(sorted(nexts)) for state, nexts in last.items()}
        self._nothing = cache.of([])

    def start(self) -> str:
        return ""

    def left(self, state: str) -> int:
        return 0 if state in ("1", ".1") else 1

    def mask(self, state: str, left: int) -> np.ndarray:
        return self._masks[state] if left > 1 else self._last[state] if left == 1 else self._nothing

    def advance(self, state: str, column: int) -> str:
        return self._after[state][column]

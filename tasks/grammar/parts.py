"""Parts of a target: each has its own language, and a target is a sequence of parts.

Shapes: V columns of the grammar to which the part belongs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

_MOST_MASKS = 1 << 14
"""Maximum number of cached masks. A partial molecule with its next steps takes about 25 KB, so they need at most
400 MB."""

AMPLE = 1 << 20
"""Number of remaining tokens for calls in which the number does not matter."""


class Part(ABC):
    """The language of one part of a target. States are immutable and hashable.

    Attributes:
        columns: every column that can continue the part at a point where it may also end.
        is_open: whether there are such points.
    """

    columns: frozenset[int]
    is_open = True

    @abstractmethod
    def start(self) -> Any:
        """Returns the state before its first token."""

    @abstractmethod
    def left(self, state: Any) -> int:
        """Returns the minimum number of tokens that finish the part from a state."""

    def ends(self, state: Any) -> bool:
        """Whether the part may end in a state."""
        return self.left(state) == 0

    @abstractmethod
    def mask(self, state: Any, left: int) -> np.ndarray:
        """Returns whether each column may come next, read-only bool [V]: those after which the part can be finished.

        Args:
            state: the state after the tokens so far.
            left: number of tokens that the part may still have, the next one included.
        """

    @abstractmethod
    def advance(self, state: Any, column: int) -> Any:
        """Returns the state after an allowed column."""


class MaskCache:
    """A cache of masks by key; equal masks share one array."""

    MOST = _MOST_MASKS

    def __init__(self, width: int):
        self._width = width
        self._by_key: dict[Hashable, np.ndarray] = {}
        self._by_columns: dict[tuple[int, ...], np.ndarray] = {}

    def get(self, key: Hashable) -> np.ndarray | None:
        return self._by_key.get(key)

    def put(self, key: Hashable, columns: Iterable[int]) -> np.ndarray:
        """Stores and returns the mask of these columns."""
        if len(self._by_key) >= _MOST_MASKS:
            self._by_key.clear()
        if len(self._by_columns) >= _MOST_MASKS:
            self._by_columns.clear()
        mask = self._by_key[key] = self.of(columns)
        return mask

    def of(self, columns: Iterable[int]) -> np.ndarray:
        """Returns the mask of these columns."""
        columns = tuple(columns)
        if columns not in self._by_columns:
            mask = np.zeros(self._width, dtype=bool)
            mask[list(columns)] = True
            mask.flags.writeable = False
            self._by_columns[columns] = mask
        return self._by_columns[columns]


class Begun(Part):
    """A part that starts in a later state, because its beginning is already written."""

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
    """A fixed sequence of tokens. The state is the number of tokens so far."""

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
    """One or more tokens of an alphabet, in any order. The state is whether there is a token already."""

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
    """One of several codes of a few tokens; no code is a prefix of another. The state is the tokens so far."""

    is_open = False

    def __init__(self, codes: Iterable[Sequence[int]], width: int):
        self._cache = MaskCache(width)
        self._left: dict[tuple[int, ...], int] = {}
        written = [tuple(code) for code in codes]
        self.columns = frozenset(column for code in written for column in code)
        for code in written:
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
    """A decimal number such as `-1.25`, one token per character.

    The state describes the text so far: empty, `+` (sign), `1` (digits), `.` (point) or `.1` (digits after the point).
    """

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

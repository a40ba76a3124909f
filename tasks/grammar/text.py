"""Text as a part of a target: the bytes of its tokens together are valid UTF-8.

The bytes of a character may be divided over several tokens. Bytes that can't belong to any character (overlong forms,
surrogates) are never allowed (RFC 3629).

Shapes: V columns of the grammar.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mammal.tasks.grammar.parts import MaskCache, Part

_Decoder = getincrementaldecoder("utf-8")
_LENGTHS = ((0xC2, 0xDF, 2), (0xE0, 0xEF, 3), (0xF0, 0xF4, 4))
"""(first leading byte, last leading byte, number of bytes of such a character)."""


class TextState(NamedTuple):
    """Whether there is any text, and the bytes of an incomplete character at its end."""

    any: bool
    open: bytes


class TextPart(Part):
    """One or more whole characters.

    Args:
        contents: column -> the bytes of its token; there must be a token for every single byte.
        width: number of columns, V.
    """

    def __init__(self, contents: Mapping[int, bytes], width: int):
        self.columns = frozenset(contents)
        self._contents = dict(contents)
        self._masks = MaskCache(width)

    def start(self) -> TextState:
        return TextState(False, b"")

    def left(self, state: TextState) -> int:
        return _missing(state.open) if state.open else int(not state.any)

    def mask(self, state: TextState, left: int) -> np.ndarray:
        key = (state.open, min(left, 4))
        mask = self._masks.get(key)
        if mask is None:
            found = ((column, unfinished(state.open + content)) for column, content in self._contents.items())
            mask = self._masks.put(key, [c for c, rest in found if rest is not None and _missing(rest) < left])
        return mask

    def advance(self, state: TextState, column: int) -> TextState:
        rest = unfinished(state.open + self._contents[column])
        assert rest is not None, "the mask allows no bytes that make no text"
        return TextState(True, rest)


def unfinished(content: bytes) -> bytes | None:
    """Returns the bytes of an incomplete last character; None if the content can't be the beginning of any text."""
    decoder = _Decoder()
    try:
        decoder.decode(content)
    except UnicodeDecodeError:
        return None
    rest = decoder.getstate()[0]
    return None if rest[:1] == b"\xed" and rest[1:2] >= b"\xa0" else rest  # surrogates: Python's decoder accepts these


def _missing(begun: bytes) -> int:
    """Number of bytes that an incomplete character still needs."""
    return next((count - len(begun) for low, high, count in _LENGTHS if begun and low <= begun[0] <= high), 0)

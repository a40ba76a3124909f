"""Finds the characters of the prompt that each token covers. Computed on demand, because it is rarely needed.

Shapes: L tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tokenization.prompt import SCALARS_LITERALS, Segment, parse_prompt
from mammal.tokenization.values import literal_spans, take_variant_values

if TYPE_CHECKING:
    from mammal.tokenization.specials import Specials
    from mammal.tokenization.subtokenizer import SubTokenizer

Span = tuple[int, int]


class Locator:
    """Finds the characters of the tokens of one encoded prompt. A pickle contains the computed array.

    Args:
        alphabets: alphabets with which the prompt was encoded, by name.
        specials: special tokens with which it was encoded.
        text: the prompt.
        windows: start of a segment -> the tokens [first, end) that were kept, if they don't follow from its text.
        length: L, number of tokens, including padding.
    """

    __slots__ = ("alphabets", "length", "specials", "text", "windows")

    def __init__(
        self,
        alphabets: Mapping[str, SubTokenizer],
        specials: Specials,
        text: str,
        windows: Mapping[int, Span] | None,
        length: int,
    ):
        self.alphabets, self.specials, self.text, self.length = alphabets, specials, text, length
        self.windows = windows or {}

    def __call__(self) -> np.ndarray:
        """Characters [start, end) of each token, int32 [L, 2]; (-1, -1) for padding."""
        offsets_L2 = np.full((self.length, 2), -1, dtype=np.int32)
        spans: list[Span] = []
        for segment in parse_prompt(self.text):
            first, end = self.windows.get(segment.start, (0, None))
            spans += self._segment_spans(segment, end)[first:end]
        spans = spans[: self.length]
        if spans:
            offsets_L2[: len(spans)] = spans
        return offsets_L2

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return partial, (np.asarray, self())

    def _segment_spans(self, segment: Segment, length: int | None) -> list[Span]:
        alphabet = self.alphabets.get(segment.alphabet)
        if alphabet is not None:
            return self._text_spans(segment, alphabet)
        if segment.alphabet == SCALARS_LITERALS:
            return literal_spans(segment)
        return [(segment.start, segment.start + len(segment.text))] * (length or 0)

    def _text_spans(self, segment: Segment, alphabet: SubTokenizer) -> list[Span]:
        spans: list[Span] = []
        start = segment.start
        for i, part in enumerate(self.specials.cut(segment.text)):
            if i % 2:
                found = self.specials.run_spans(part)
            elif ":" in part and alphabet.has_variants:
                found = _variant_spans(part, start, alphabet)
            else:
                found = alphabet.spans(part) if part else []
            spans += [(start + first, start + end) for first, end in found]
            start += len(part)
        return spans


def _variant_spans(part: str, start: int, alphabet: SubTokenizer) -> list[Span]:
    """Spans in the text of the user. A number belongs to no token, but the span of a whole variant includes it."""
    text, _, cuts = take_variant_values(part, start)
    left_out = np.zeros(len(text) + 1, dtype=np.int64)
    for character, count in cuts:
        left_out[character:] += count
    return [(first + int(left_out[first]), end + int(left_out[end - 1])) for first, end in alphabet.spans(text)]

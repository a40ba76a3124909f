"""Errors for text of a prompt without a token: which text, where it is, and what was probably meant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammal.tokenization.encoding import Encoding
from mammal.tokenization.errors import UnknownTokenError, did_you_mean
from mammal.tokenization.prompt import NUMBERS_AND_EMBEDDINGS, Segment, Tag, find_tags, place

if TYPE_CHECKING:
    from mammal.tokenization.specials import Specials
    from mammal.tokenization.subtokenizer import SubTokenizer


def unknown_tag(tag: Tag, specials: Iterable[str]) -> UnknownTokenError:
    """Returns the error for a tag that is not a special token."""
    return UnknownTokenError(
        f"{tag.text} is not a special token of this tokenizer",
        where=place(tag.start),
        hint=did_you_mean(tag.text, specials, noun="special token"),
    )


def unknown_token(
    segments: Sequence[Segment], encoding: Encoding, alphabets: Mapping[str, SubTokenizer], specials: Specials
) -> UnknownTokenError:
    """Returns the error for the first unknown token of an encoding.

    Args:
        segments: segments of the prompt.
        encoding: encoding of the prompt, which contains an unknown token.
        alphabets: alphabets with which the prompt was encoded, by name.
        specials: special tokens with which it was encoded.
    """
    unknown_id = next(iter(alphabets.values())).unknown_id
    index = int(np.argmax(encoding.ids_L == unknown_id))
    start, end = encoding.offsets_L2[index].tolist()
    segment = segments[bisect_right([segment.start for segment in segments], start) - 1]
    if segment.alphabet in NUMBERS_AND_EMBEDDINGS or segment.is_embedding:
        return UnknownTokenError(f"this tokenizer has no token for {segment.alphabet}", where=place(start))
    for text, first in find_tags(segment.text):
        first += segment.start
        if first <= start < first + len(text) and text not in specials.ids:
            return unknown_tag(Tag(text, first), specials.ids)
    piece = segment.text[start - segment.start : end - segment.start]
    if piece in specials.ids:
        return UnknownTokenError(f"{piece} is written in the prompt", where=place(start))
    upper = piece.upper()
    known = upper != piece and upper in alphabets[segment.alphabet].vocab
    return UnknownTokenError.at(
        (start, end),
        f"{piece!r} has no token in alphabet {segment.alphabet}",
        where=place(start),
        hint=f"did you mean {upper}?" if known else None,
    )

"""Converts the text of a prompt to an `Encoding`: its alphabet encodes each segment, which is then cut to length.

Shapes: L tokens.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mammal.tokenization.encoding import Encoding, External
from mammal.tokenization.errors import PromptError, UnknownTokenError, did_you_mean
from mammal.tokenization.notices import Notices
from mammal.tokenization.offsets import Locator
from mammal.tokenization.prompt import (
    EMBEDDINGS_FROM_DICT,
    NUMBERS_AND_EMBEDDINGS,
    SCALARS_FROM_DICT,
    SCALARS_LITERALS,
    Segment,
    Tag,
    find_tags,
    parse_prompt,
    place,
    tag,
    text_before_first_tag,
)
from mammal.tokenization.specials import Specials
from mammal.tokenization.subtokenizer import SubTokenizer
from mammal.tokenization.unknown import unknown_tag, unknown_token
from mammal.tokenization.values import (
    embedding_count,
    embedding_model,
    literal_values,
    sample_values,
    sample_vectors,
    take_variant_values,
)

EOS, SCALAR, EMBEDDINGS = tag("EOS"), tag("SCALAR"), tag("EMBEDDINGS")


@dataclass(frozen=True)
class Options:
    """How prompts are encoded, see `Tokenizer.encode`."""

    max_len: int | None = None
    pad_id: int | None = None
    on_unknown: str | None = "raise"
    require_eos: bool = True


class _Row:
    """The part of a prompt that was encoded so far.

    Attributes:
        chunks: arrays of ids in order.
        windows: start of a segment -> the tokens [first, end) that were kept, if they don't follow from its text.
        values: pairs of position and value.
        embeddings: external embeddings.
        length: total number of ids.
        is_cut: whether a segment lost tokens.
        unknown_tag: the first tag that an alphabet read as characters, and its position in the prompt.
    """

    def __init__(self) -> None:
        self.chunks: list[np.ndarray] = []
        self.windows: dict[int, tuple[int, int]] = {}
        self.values: list[tuple[int, float]] = []
        self.embeddings: list[External] = []
        self.length = 0
        self.is_cut = False
        self.unknown_tag: Tag | None = None

    def add_placeholders(self, segment: Segment, ids: np.ndarray) -> None:
        """Adds tokens that are placeholders for numbers or vectors."""
        self.windows[segment.start] = (0, len(ids))
        self.chunks.append(ids)
        self.length += len(ids)

    def add(self, segment: Segment, chunks: list[np.ndarray], length: int, window: tuple[int, int]) -> None:
        """Adds the tokens [first, end) of a segment, which has `length` tokens."""
        first, end = window
        if end - first < length:
            chunks = [np.concatenate(chunks)[first:end]]
            self.windows[segment.start] = window
            self.is_cut = True
        self.chunks += chunks
        self.length += end - first


class PromptEncoder:
    """Encodes prompts with a fixed set of alphabets and special tokens.

    Attributes:
        alphabets: alphabets by name; the first one has the tokens that are placeholders for numbers and embeddings.
        specials: the special tokens.
        rng: samples the windows of TRUNC-MODE=RAND: one random number for each truncated segment, in reading order.
    """

    def __init__(self, alphabets: Mapping[str, SubTokenizer], specials: Specials, rng: random.Random):
        self.alphabets, self.specials, self.rng = dict(alphabets), specials, rng
        self._first = next(iter(self.alphabets.values()))
        self._unknown_id = np.int32(self._first.unknown_id)

    def encode(self, text: str, sample: Mapping[str, Any] | None, options: Options, notices: Notices) -> Encoding:
        """Encodes one prompt.

        Args:
            text: the prompt.
            sample: arrays for the segments SCALARS_FROM_DICT and EXTERNAL_EMBEDDINGS_FROM_DICT, by name.
            options: how the prompt is encoded.
            notices: collects warnings.

        Raises:
            PromptError: the prompt does not follow the grammar, or a number in it can't be read.
            UnknownTokenError: text has no token in its alphabet, and `options.on_unknown` is "raise".
        """
        segments = parse_prompt(text)
        if not text.isascii():
            _check_unicode(text)
        if options.require_eos:
            self._check_ends(segments[-1], len(text))
        if junk := text_before_first_tag(text).strip():
            notices.add("junk", lambda: f"text before the first segment tag is not read: {junk[:40]!r}")
        row = _Row()
        for segment in segments:
            if (alphabet := self.alphabets.get(segment.alphabet)) is not None:
                self._read_text(segment, alphabet, row)
            elif segment.alphabet in (SCALARS_LITERALS, SCALARS_FROM_DICT):
                self._read_scalars(segment, sample, row)
            elif segment.is_embedding:
                self._read_embeddings(segment, sample, row, notices)
            else:
                raise self._unknown_alphabet(segment)
        encoding = self._lay_out(text, row, options)
        if row.unknown_tag or np.count_nonzero(encoding.ids_L == self._unknown_id):
            self._refuse_or_warn(segments, row, encoding, options, notices)
        if options.require_eos and (row.is_cut or row.length > len(encoding)):
            self._check_eos_kept(encoding, notices)
        return encoding

    def _placeholders(self, token: str, count: int) -> np.ndarray:
        """Ids of `count` placeholder tokens, int32; the unknown id if the vocabulary lacks the token."""
        if token in self.specials.ids:
            return np.full(count, self.specials.ids[token], dtype=np.int32)
        return self._first.encode(token * count)

    def _read_text(self, segment: Segment, alphabet: SubTokenizer, row: _Row) -> None:
        chunks, values, length, start = [], [], 0, segment.start
        for i, part in enumerate(self.specials.cut(segment.text)):
            if i % 2:
                ids = self.specials.run_ids(part)
            elif not part:
                continue
            elif ":" in part and alphabet.has_variants:
                text, marks, _ = take_variant_values(part, start)
                ids = alphabet.encode(text)
                values += _values_on_tokens(marks, alphabet.spans(text), length)
            else:
                ids = alphabet.encode(part)
                if "<" in part and alphabet.splits_tags and row.unknown_tag is None:
                    row.unknown_tag = next((Tag(tag.text, start + tag.start) for tag in find_tags(part)), None)
            chunks.append(ids)
            length += len(ids)
            start += len(part)
        first, end = window = _window(segment, alphabet.max_len, length, self.rng)
        if values:
            row.values += [(row.length + token - first, value) for token, value in values if first <= token < end]
        row.add(segment, chunks, length, window)

    def _read_scalars(self, segment: Segment, sample: Mapping[str, Any] | None, row: _Row) -> None:
        is_literal = segment.alphabet == SCALARS_LITERALS
        values = literal_values(segment) if is_literal else sample_values(segment, sample)
        ids = self._placeholders(SCALAR, len(values))
        if len(ids) != len(values):
            raise PromptError(f"this tokenizer has no {SCALAR} token", where=place(segment.start))
        row.values += enumerate(values.tolist(), row.length)
        row.add_placeholders(segment, ids)

    def _read_embeddings(self, segment: Segment, sample: Mapping[str, Any] | None, row: _Row, notices: Notices) -> None:
        ids = self._placeholders(EMBEDDINGS, embedding_count(segment))
        vectors = sample_vectors(segment, sample) if segment.alphabet == EMBEDDINGS_FROM_DICT else None
        if vectors is None:
            notices.add("embeddings", lambda: f"{place(segment.start)}: {segment.text!r} has no vectors yet")
        else:
            row.embeddings.append(External(row.length, embedding_model(segment), vectors))
        row.add_placeholders(segment, ids)

    def _lay_out(self, text: str, row: _Row, options: Options) -> Encoding:
        """Joins the encoded segments, cuts the result to the overall length on the right, and pads it."""
        ids_L = np.concatenate(row.chunks) if row.chunks else np.empty(0, dtype=np.int32)
        if options.max_len is not None:
            ids_L = ids_L[: options.max_len]
            if options.pad_id is not None:
                padding = np.full(options.max_len - len(ids_L), options.pad_id, dtype=np.int32)
                ids_L = np.concatenate([ids_L, padding])
        length = len(ids_L)
        values_L, has_value_L, mask_L = np.zeros(length, np.float32), np.zeros(length, bool), np.zeros(length, bool)
        mask_L[: row.length] = True
        for position, value in row.values:
            if position < length:
                values_L[position], has_value_L[position] = value, True
        kept = [e for e in row.embeddings if e.start < length]
        embeddings = tuple(e._replace(vectors_XW=e.vectors_XW[: length - e.start]) for e in kept)
        is_cut = row.is_cut or (options.max_len is not None and row.length > options.max_len)
        locate = Locator(self.alphabets, self.specials, text, row.windows or None, length)
        return Encoding(ids_L, values_L, has_value_L, mask_L, embeddings, is_cut, locate)

    def _check_ends(self, last: Segment, length: int) -> None:
        """Checks that the text ends with `<EOS>`, whether or not tokens are cut later; numbers can't end a prompt."""
        if last.alphabet in NUMBERS_AND_EMBEDDINGS or last.is_embedding:
            hint = f"numbers can't end a prompt: put {EOS} in a segment after them, or pass require_eos=False"
        elif last.text.rstrip().endswith(EOS):
            return
        else:
            hint = f"add {EOS}, or pass require_eos=False"
        raise PromptError(f"the prompt does not end with {EOS}", where=place(length), hint=hint)

    def _check_eos_kept(self, encoding: Encoding, notices: Notices) -> None:
        if self.specials.ids.get(EOS) not in encoding.ids_L:
            notices.add("eos", lambda: f"{EOS} was cut off: the prompt is longer than its MAX-LEN or max_len allows")

    def _refuse_or_warn(
        self, segments: list[Segment], row: _Row, encoding: Encoding, options: Options, notices: Notices
    ) -> None:
        """Raises an error or warns about unknown text, depending on `options.on_unknown`."""

        def error() -> UnknownTokenError:
            if row.unknown_tag:
                return unknown_tag(row.unknown_tag, self.specials.ids)
            return unknown_token(segments, encoding, self.alphabets, self.specials)

        if options.on_unknown == "raise":
            raise error()
        if options.on_unknown not in ("warn", None):
            raise PromptError(f"on_unknown={options.on_unknown!r} does not exist", hint="use 'raise' or 'warn'")
        notices.add("unknown", lambda: str(error()))

    def _unknown_alphabet(self, segment: Segment) -> PromptError:
        names = [*self.alphabets, *NUMBERS_AND_EMBEDDINGS]
        return PromptError(
            f"the tokenizer has no alphabet {segment.alphabet!r}",
            where=place(segment.start),
            hint=did_you_mean(segment.alphabet, names, noun="alphabet"),
        )


def _window(segment: Segment, alphabet_max: int | None, length: int, rng: random.Random) -> tuple[int, int]:
    """The tokens [start, end) of a segment that are kept.

    RAND keeps the last k tokens, with k sampled from [max_len, length], then the first max_len of those. A random
    number is only used if the segment is too long, so random numbers follow the order of truncated segments, as in the
    published code.
    """
    if alphabet_max is not None:
        length = min(length, alphabet_max)
    if segment.max_len is None or length <= segment.max_len:
        return 0, length
    start = length - rng.randint(segment.max_len, length) if segment.trunc == "RAND" else 0
    return start, start + segment.max_len


def _values_on_tokens(
    marks: list[tuple[int, float]], spans: list[tuple[int, int]], first_token: int
) -> list[tuple[int, float]]:
    """Each value with the token that covers its character."""
    ends = [end for _, end in spans]
    return [(first_token + bisect_right(ends, character), value) for character, value in marks]


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptError("half of a surrogate pair is not a character", where=place(error.start)) from None

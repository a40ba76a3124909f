"""Converts text without special tokens to ids with one alphabet.

WordLevel alphabets look up whole pieces. BPE alphabets merge characters or bytes by rules. Merging uses the model of
the `tokenizers` library, built from the parsed file, because the file reader of the library warns about unused ids.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise

import numpy as np
from tokenizers import models

from mammal.tokenization.alphabet_file import AlphabetFile
from mammal.tokenization.byte_level import as_text, byte_characters, to_bytes
from mammal.tokenization.cache import Cache
from mammal.tokenization.errors import TokenizerError
from mammal.tokenization.pieces import Span, splitter

_ASCII_BLANKS = b"\t\n\v\f\r "
_A_VARIANT = "[A/G]"


class SubTokenizer(ABC):
    """Encodes text of one alphabet.

    Args:
        file: the file of the alphabet.

    Attributes:
        name: name in prompts.
        vocab: ids of its tokens, including special tokens.
        unknown_id: id of text without a token.
        max_len: maximal number of tokens of a segment, cut on the right; None: no limit.
        splits_tags: an unknown `<…>` is split into characters instead of becoming one unknown token.
        has_variants: single-nucleotide variants are tokens, so variants may be written with a frequency.
    """

    splits_tags = False

    def __init__(self, file: AlphabetFile):
        self.name = file.name
        self.vocab = file.vocab
        self.unknown_id = file.vocab[file.unknown]
        self.max_len = file.max_len
        self.has_variants = _A_VARIANT in file.vocab
        self._folding = file.folding
        self._splitter = splitter(file.split)

    def encode(self, text: str) -> np.ndarray:
        """Ids of a text without special tokens, int32 [n]. The array may be shared, so it must not be changed."""
        return self._encode(text.translate(self._folding) if self._folding else text)

    def spans(self, text: str) -> list[Span]:
        """The characters [start, end) that each id of `encode` covers."""
        return self._spans(text.translate(self._folding) if self._folding else text)

    @abstractmethod
    def _encode(self, text: str) -> np.ndarray: ...

    @abstractmethod
    def _spans(self, text: str) -> list[Span]: ...


class WordLevel(SubTokenizer):
    """Every piece of the text is one token, or unknown."""

    def __init__(self, file: AlphabetFile):
        super().__init__(file)
        ids = [self.vocab.get(chr(code), self.unknown_id) for code in range(128)]
        self._ascii_ids = np.array(ids, dtype=np.int32)

    def _encode(self, text: str) -> np.ndarray:
        if self._splitter.gives_single_characters(text):
            codes = text.encode("ascii").translate(None, _ASCII_BLANKS)
            return self._ascii_ids[np.frombuffer(codes, dtype=np.uint8)]
        get, unknown = self.vocab.get, self.unknown_id
        return np.array([get(piece, unknown) for piece in self._splitter.pieces(text)], dtype=np.int32)

    def _spans(self, text: str) -> list[Span]:
        return self._splitter.spans(text)


class BytePair(SubTokenizer):
    """Pieces of the text are merged from characters; with `ignore_merges` a piece that is a token is not split.

    Merged pieces are cached here, so the cache of the library is switched off.
    """

    splits_tags = True

    def __init__(self, file: AlphabetFile):
        super().__init__(file)
        options = {name: file.model.get(name, False) for name in ("fuse_unk", "byte_fallback", "ignore_merges")}
        try:
            self._bpe = models.BPE(
                vocab=file.vocab, merges=file.merges, unk_token=file.unknown, cache_capacity=0, **options
            )
        except Exception as error:  # the library raises no narrower type
            raise TokenizerError(f"alphabet {file.name} can't be built: {error}") from None
        self._whole = file.vocab if options["ignore_merges"] else {}
        self._merged: Cache[str, np.ndarray] = Cache(self._merge, max_items=16384)

    def _encode(self, text: str) -> np.ndarray:
        pieces = self._splitter.pieces(text)
        if len(pieces) == 1:
            return self._merged[pieces[0]]
        try:
            return np.fromiter(map(self._whole.__getitem__, pieces), np.int32, len(pieces))
        except KeyError:
            return np.concatenate([self._merged[piece] for piece in pieces])

    def _spans(self, text: str) -> list[Span]:
        spans: list[Span] = []
        for start, end in self._splitter.spans(text):
            piece = text[start:end]
            found = [(0, len(piece))] if piece in self._whole else self._merged_spans(piece)
            spans += [(start + first, start + last) for first, last in found]
        return spans

    def _merge(self, piece: str) -> np.ndarray:
        return np.array([token.id for token in self._bpe.tokenize(piece)], dtype=np.int32)

    def _merged_spans(self, piece: str) -> list[Span]:
        spans = [token.offsets for token in self._bpe.tokenize(piece)]
        if piece.isascii():
            return spans
        bytes_before = np.cumsum([0, *(len(character.encode()) for character in piece)])
        starts_ends = np.searchsorted(bytes_before, np.array(spans, dtype=np.int64).reshape(-1, 2))
        return [(int(start), int(end)) for start, end in starts_ends]


class BytePairOfBytes(BytePair):
    """As `BytePair`, but on bytes. If the bytes of a character are in several tokens, it belongs to all of them."""

    def __init__(self, file: AlphabetFile):
        super().__init__(file)
        if self._whole:
            texts = {token: as_text(to_bytes(token)) for token in file.regular}
            self._whole = {text: file.vocab[token] for token, text in texts.items() if text is not None}

    def _merge(self, piece: str) -> np.ndarray:
        return super()._merge(byte_characters(piece))

    def _merged_spans(self, piece: str) -> list[Span]:
        ends = np.cumsum([len(token.value) for token in self._bpe.tokenize(byte_characters(piece))]).tolist()
        of_byte = [place for place, character in enumerate(piece) for _ in character.encode()]
        return [(of_byte[start], of_byte[end - 1] + 1) for start, end in pairwise([0, *ends])]


def build_subtokenizer(file: AlphabetFile) -> SubTokenizer:
    if file.is_byte_level:
        return BytePairOfBytes(file)
    return (BytePair if file.model["type"] == "BPE" else WordLevel)(file)

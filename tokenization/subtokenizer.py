"""One alphabet at work: text without special tokens becomes ids.

WordLevel alphabets look whole pieces up. BPE alphabets merge characters by rules; the merging is done by the model of
the `tokenizers` library, built from the parsed file (its own file reader warns at length about unused ids).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

import numpy as np
from mammal.tokenization.alphabet_file import AlphabetFile
from mammal.tokenization.cache import Cache
from mammal.tokenization.pieces import Splitter
from tokenizers import models

Span = tuple[int, int]

_ASCII_BLANKS = b"\t\n\v\f\r "
_VARIANT = re.compile(r"\[[^\[\]/]+/[^\[\]/]+\]")


class SubTokenizer(ABC):
    """Reads one alphabet.

    Attributes:
        name: as in prompts.
        max_len: the most tokens of a segment, cut on the right; None: no limit.
        splits_tags: an unknown `<…>` falls apart into characters here instead of becoming one unknown token.
        has_variants: some token is a whole variant such as `[A/G]`, which may be written with a frequency.
    """

    splits_tags = False

    def __init__(self, file: AlphabetFile):
        self.name = file.name
        self.max_len = file.max_len
        self.vocab = file.vocab
        self.unknown_id = file.vocab[file.unknown]
        self.has_variants = any(map(_VARIANT.fullmatch, file.vocab))
        self._folding = file.folding

    def encode(self, text: str) -> np.ndarray:
        """int32 [n] ids of a text without special tokens. The array may be shared: don't write to it."""
        return self._encode(text.translate(self._folding) if self._folding else text)

    def spans(self, text: str) -> list[Span]:
        """The characters [start, end) that each id of `encode` covers."""
        return self._spans(text.translate(self._folding) if self._folding else text)

    @abstractmethod
    def _encode(self, text: str) -> np.ndarray: ...

    @abstractmethod
    def _spans(self, text: str) -> list[Span]: ...


class WordLevel(SubTokenizer):
    """Every piece of the text is a token or unknown."""

    def __init__(self, file: AlphabetFile):
        super().__init__(file)
        self._splitter = Splitter(file.split)
        self._byte_ids = np.full(128, self.unknown_id, dtype=np.int32)
        for character, id in self.vocab.items():
            if len(character) == 1 and character.isascii():
                self._byte_ids[ord(character)] = id

    def _encode(self, text: str) -> np.ndarray:
        if self._splitter.gives_single_characters(text):
            codes = text.encode("ascii").translate(None, _ASCII_BLANKS)
            return self._byte_ids[np.frombuffer(codes, dtype=np.uint8)]
        get, unknown = self.vocab.get, self.unknown_id
        return np.array([get(piece, unknown) for piece in self._splitter.pieces(text)], dtype=np.int32)

    def _spans(self, text: str) -> list[Span]:
        return self._splitter.spans(text)


class BytePair(SubTokenizer):
    """Pieces of the text are merged from characters; with `ignore_merges` a piece that is a token stays whole."""

    splits_tags = True

    def __init__(self, file: AlphabetFile):
        super().__init__(file)
        model = file.model
        keeps_whole = model.get("ignore_merges", False)
        self._bpe = models.BPE(
            vocab=file.vocab,
            merges=file.merges,
            unk_token=file.unknown,
            fuse_unk=model.get("fuse_unk", False),
            byte_fallback=model.get("byte_fallback", False),
            ignore_merges=keeps_whole,
        )
        self._splitter = Splitter(file.split)
        self._whole = file.vocab if keeps_whole else {}
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
        return [
            (start + token_start, start + token_end)
            for start, end in self._splitter.spans(text)
            for token_start, token_end in self._merged_spans(text[start:end])
        ]

    def _merge(self, piece: str) -> np.ndarray:
        return np.array([token.id for token in self._bpe.tokenize(piece)], dtype=np.int32)

    def _merged_spans(self, piece: str) -> list[Span]:
        spans = [token.offsets for token in self._bpe.tokenize(piece)]
        if piece.isascii():
            return spans
        bytes_before = np.cumsum([0, *(len(character.encode()) for character in piece)])
        starts_ends = np.searchsorted(bytes_before, np.array(spans, dtype=np.int64).reshape(-1, 2))
        return [(int(start), int(end)) for start, end in starts_ends]


def build(file: AlphabetFile) -> SubTokenizer:
    return (BytePair if file.model["type"] == "BPE" else WordLevel)(file)

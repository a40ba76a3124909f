"""The parts of a value that get an attribution: atoms, residues, bases and variants, numbers, or tokens.

An attribution of a token is divided among the characters that it covers, and each character belongs to one part or to
several. So the attributions of the parts sum to those of the tokens.

Shapes: P parts, T tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mammal.explanation.smiles_atoms import Shares, Span, smiles_atoms

Kind = Literal["atom", "residue", "base", "number", "token"]

KINDS: dict[str, Kind] = {"SMILES": "atom", "AA": "residue", "DNA": "base", "SCALARS_LITERALS": "number"}
"""Alphabet -> the parts of its text. The parts of any other alphabet are its tokens."""

VARIANT = "variant"
"""What a part of DNA with several alleles is called, such as `[A/G]`; its other parts are bases."""

_BASE = re.compile(r"\[[^\]]*\]?|.", re.DOTALL)


@dataclass(frozen=True)
class Part:
    """A part of a value.

    Attributes:
        kind: `atom`, `residue`, `base`, `variant`, `number` or `token`.
        text: its characters.
        start: its first character in the value, from 0.
    """

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class Parts:
    """The parts of a value in order, and the parts that each character belongs to.

    Attributes:
        kind: kind of the parts. DNA also has parts of the kind `variant`.
        parts: the parts.
        shares: for each character of the value, part -> share; the shares of a character sum to 1.
    """

    kind: Kind
    parts: Sequence[Part]
    shares: Sequence[Shares]

    def __len__(self) -> int:
        return len(self.parts)

    def of_tokens(self, spans: Sequence[Span], attributions_T: np.ndarray) -> np.ndarray:
        """Returns the attribution of each part, float64 [P]. A part that no token covers, because the value was cut,
        is NaN.

        Args:
            spans: characters [start, end) of the value that each token covers.
            attributions_T: attribution of each token, float [T].
        """
        found_P, covered_P = np.zeros(len(self)), np.zeros(len(self), dtype=bool)
        for span, attribution in zip(spans, attributions_T.tolist(), strict=True):
            for part, share in self.shares_of(span).items():
                found_P[part] += share * attribution
                covered_P[part] = True
        return np.where(covered_P, found_P, np.nan)

    def shares_of(self, span: Span) -> Shares:
        """Returns the parts that a token belongs to, each with its share of the token.

        Args:
            span: characters [start, end) that the token covers.
        """
        start, end = span
        shares: Shares = {}
        for character in range(start, end):
            for part, share in self.shares[character].items():
                shares[part] = shares.get(part, 0.0) + share / (end - start)
        return shares


def parts_of(text: str, kind: Kind, spans: Sequence[Span]) -> Parts:
    """Divides a value into its parts.

    Args:
        text: the value, as the model reads it.
        kind: kind of the parts. A text without atoms is divided into tokens instead.
        spans: characters [start, end) of its tokens, in order.
    """
    if kind == "atom":
        atoms = smiles_atoms(text)
        if atoms.spans:
            return Parts(kind, _cut(text, kind, atoms.spans), atoms.shares)
        kind = "token"
    if kind == "token":
        return _apart(text, kind, _without_gaps(text, spans))
    if kind == "number":
        return _apart(text, kind, [(0, len(text))])
    pieces = _BASE.finditer(text) if kind == "base" else re.finditer(r"(?s).", text)
    return _apart(text, kind, [piece.span() for piece in pieces])


def _cut(text: str, kind: str, spans: Sequence[Span]) -> list[Part]:
    names = [VARIANT if kind == "base" and text[start] == "[" else kind for start, _ in spans]
    return [Part(name, text[start:end], start) for name, (start, end) in zip(names, spans, strict=True)]


def _apart(text: str, kind: Kind, spans: Sequence[Span]) -> Parts:
    """Parts that do not share characters and cover the whole text."""
    shares: list[Shares] = [{} for _ in text]
    for part, (start, end) in enumerate(spans):
        shares[start:end] = [{part: 1.0}] * (end - start)
    return Parts(kind, _cut(text, kind, spans), shares)


def _without_gaps(text: str, spans: Sequence[Span]) -> list[Span]:
    """The spans of tokens, and those of characters that no token covers."""
    found: list[Span] = []
    end = 0
    for first, last in sorted(set(spans)):
        if first > end:
            found.append((end, first))
        if last > end:
            found.append((max(first, end), last))
        end = max(end, last)
    return [*found, (end, len(text))] if end < len(text) else found

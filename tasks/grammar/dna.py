"""The grammar of DNA: bases, and variants written in place (`mammal.tokenization.variants`).

Shapes: V columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mammal.tasks.grammar.parts import MaskCache, Part
from mammal.tokenization.variants import BASES, NO_BASES

_MOST_ALLELES = 4


class DnaState(NamedTuple):
    """The state within a window of DNA.

    Attributes:
        begun: whether there is a token already.
        alleles: complete alleles of the current variant; None outside of variants.
        current: the bases of the current allele.
    """

    begun: bool = False
    alleles: tuple[str, ...] | None = None
    current: str = ""

    @property
    def is_new(self) -> bool:
        """Whether the current allele has bases and differs from the earlier ones."""
        return bool(self.current) and self.current not in (self.alleles or ())


class DnaPart(Part):
    """One or more bases and variants. A variant has two to four alleles, all of them different.

    Args:
        tokens: text of a token of the alphabet -> its column.
        width: number of columns, V.
    """

    def __init__(self, tokens: Mapping[str, int], width: int):
        self._token_at = {column: token for token, column in tokens.items()}
        self.columns = frozenset(tokens.values())
        self._masks = MaskCache(width)

    def start(self) -> DnaState:
        return DnaState()

    def left(self, state: DnaState) -> int:
        if state.alleles is None:
            return 0 if state.begun else 1
        if not state.is_new:
            return 1 + self.left(state._replace(current=_another(state)))
        return 1 if state.alleles else 3

    def mask(self, state: DnaState, left: int) -> np.ndarray:
        allele = None if state.alleles is None else (state.alleles, state.current)
        key = (allele, state.begun, min(left, 6))
        found = self._masks.get(key)
        if found is not None:
            return found
        nexts = {column: _after(state, token) for column, token in self._token_at.items()}
        allowed = [column for column, after in nexts.items() if after is not None and self.left(after) < left]
        return self._masks.put(key, allowed)

    def advance(self, state: DnaState, column: int) -> DnaState:
        after = _after(state, self._token_at[column])
        assert after is not None, "the mask allowed it"
        return after


def _after(state: DnaState, token: str) -> DnaState | None:
    """The state after a token; None if the token is not allowed."""
    if state.alleles is None:
        if token in BASES or (len(token) > 1 and token.startswith("[")):
            return DnaState(True)
        return DnaState(state.begun, ()) if token == "[" else None
    if token in BASES:
        return None if state.current == NO_BASES else state._replace(current=state.current + token)
    if token == NO_BASES:
        return None if state.current or NO_BASES in state.alleles else state._replace(current=token)
    if token == "/" and state.is_new and len(state.alleles) < _MOST_ALLELES - 1:
        return state._replace(alleles=(*state.alleles, state.current), current="")
    return DnaState(True) if token == "]" and state.is_new and state.alleles else None


def _another(state: DnaState) -> str:
    """The current allele with one more base, such that it differs from the earlier alleles."""
    return next(state.current + base for base in sorted(BASES) if state.current + base not in (state.alleles or ()))

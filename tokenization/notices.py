"""Warnings of this package: what hurts but can't be refused, because ids must stay those of the published tokenizer."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable


class MammalWarning(UserWarning):
    """Base of every warning of this package."""


class PromptWarning(MammalWarning):
    """A prompt loses something on its way to ids."""


class Notices:
    """Collects what is to be warned of, so that a batch gives one warning a kind instead of one a prompt."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, kind: str, message: Callable[[], str]) -> None:
        """Note one more case; only the first of a kind has its message made."""
        if kind not in self._first:
            self._first[kind] = message()
        self._counts[kind] += 1

    def emit(self, stacklevel: int) -> None:
        """Warn once a kind. `stacklevel` 1 is the caller of this method."""
        for kind, message in self._first.items():
            others = self._counts[kind] - 1
            more = f" (the same in {others:,} other prompts)" if others else ""
            warnings.warn(message + more, PromptWarning, stacklevel=stacklevel + 1)

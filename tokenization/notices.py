"""Warnings about problems that are not errors because ids must equal those of the published tokenizer."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable


class MammalWarning(UserWarning):
    """Base of every warning of this package."""


class PromptWarning(MammalWarning):
    """A part of a prompt is lost when it is converted to ids."""


class Notices:
    """Collects warnings, so that a batch gives one warning of each kind instead of one for each prompt."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, kind: str, message: Callable[[], str]) -> None:
        """Adds a case; the message is only created for the first case of a kind."""
        if kind not in self._first:
            self._first[kind] = message()
        self._counts[kind] += 1

    def emit(self, stacklevel: int) -> None:
        """Warns once for each kind. `stacklevel` 1 is the caller of this method."""
        for kind, message in self._first.items():
            others = self._counts[kind] - 1
            more = f" (the same in {others:,} other prompts)" if others else ""
            warnings.warn(message + more, PromptWarning, stacklevel=stacklevel + 1)

"""A bounded memory of what was computed before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Cache(dict[Key, Value], Generic[Key, Value]):
    """A dict that computes what it lacks. When full it forgets everything: cheaper than keeping track of use.

    Reading what is there costs one dict look-up, without a Python call; several threads may read and fill it.
    """

    def __init__(self, compute: Callable[[Key], Value], max_items: int):
        super().__init__()
        self._compute, self._max_items = compute, max_items

    def __missing__(self, key: Key) -> Value:
        value = self._compute(key)
        if len(self) >= self._max_items:
            self.clear()
        self[key] = value
        return value

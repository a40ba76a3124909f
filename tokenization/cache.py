"""A cache of limited size for computed values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Cache(dict[Key, Value], Generic[Key, Value]):
    """A dict that computes missing values. When it is full, it is emptied, which is cheaper than tracking use.

    Reading an existing value costs one look-up, without a Python call. Several threads may use the cache.

    Args:
        compute: function that computes the value of a key.
        max_items: maximal number of values.
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

"""A Bloom filter: a compact set that never misses an entry, and reports a small share of other keys as entries.

Bloom 1970, "Space/time trade-offs in hash coding with allowable errors". Keys are hashed by blake2b, whose results are
the same in every process and on every machine.

Shapes: N keys, X bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, log

import numpy as np

RATE = 0.01
"""Share of keys that are no entries and are reported as entries, for which a filter is made."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))
"""Shifts and factors of SplitMix64 (Steele et al. 2014)."""


def key_hashes(keys: Iterable[str]) -> np.ndarray:
    """Returns a 64-bit hash of each key, uint64 [N].

    Args:
        keys: any texts.
    """
    digests = b"".join(hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


@dataclass(frozen=True, eq=False)
class BloomFilter:
    """A set of hashes.

    Attributes:
        bits_X: bits of the filter, uint8; the first bit of a byte is the lowest one.
        size: number of bits.
        hashes: number of bits that each entry sets.
        entries: number of different entries.
    """

    bits_X: np.ndarray
    size: int
    hashes: int
    entries: int

    @classmethod
    def of(cls, hashes_N: np.ndarray, rate: float = RATE) -> BloomFilter:
        """Makes a filter of the best size.

        Args:
            hashes_N: result of `key_hashes`; equal ones count once.
            rate: share of other keys that may be reported as entries, above 0 and below 1.
        """
        different_N = np.unique(hashes_N)
        entries = len(different_N)
        size = 8 * max(8, ceil(-entries * log(rate) / log(2) ** 2 / 8))
        hashes = max(1, round(-log(rate) / log(2)))
        bits = np.zeros(size, dtype=bool)
        for number in range(hashes):
            bits[_places(different_N, number, size)] = True
        return cls(np.packbits(bits, bitorder="little"), size, hashes, entries)

    def contains(self, hashes_N: np.ndarray) -> np.ndarray:
        """Returns whether each hash is an entry, bool [N]. An entry is always found.

        Args:
            hashes_N: result of `key_hashes`.
        """
        found_N = np.ones(len(hashes_N), dtype=bool)
        for number in range(self.hashes):
            places_N = _places(hashes_N, number, self.size)
            found_N &= (self.bits_X[places_N >> 3] >> (places_N & 7).astype(np.uint8) & 1).astype(bool)
        return found_N

    @property
    def rate(self) -> float:
        """Share of other keys that are reported as entries, from the share of bits that are set."""
        return float(np.bitwise_count(self.bits_X).sum() / self.size) ** self.hashes


def _places(hashes_N: np.ndarray, number: int, size: int) -> np.ndarray:
    """The bit that the hash function of a number sets for each hash, int64 [N]."""
    with np.errstate(over="ignore"):
        mixed_N = hashes_N + np.uint64(number + 1) * _GOLDEN
        for shift, factor in _MIX:
            mixed_N = (mixed_N ^ (mixed_N >> np.uint64(shift))) * factor
    return ((mixed_N ^ (mixed_N >> np.uint64(31))) % np.uint64(size)).astype(np.int64)

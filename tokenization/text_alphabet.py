"""The TEXT alphabet: byte-level byte-pair encoding of names, captions and instructions.

Each of the 256 bytes is a token, in order, so any text can be encoded and decoded. The other tokens are merged from
bytes by rules that were learned from a corpus (Sennrich et al. 2016, ACL). Learning can be continued: known rules come
first and keep their ids.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from mammal.tokenization.byte_level import CHARACTERS, byte_characters

Merge = tuple[str, str]

PATTERN = r" ?[A-Za-z]+| ?[0-9]| ?[^A-Za-z0-9 ]+| +"
"""Merges only occur inside a word, a digit (so locants and counts have one token for each digit) or a sequence of other
characters, each with the blank before it."""

LEAST_COUNT = 4
"""How often a pair must occur in the corpus to be merged."""


def tokens(merges: Iterable[Merge]) -> list[str]:
    """Returns every token in the order of ids: the bytes, then the tokens that the rules create."""
    return list(dict.fromkeys([*CHARACTERS, *(left + right for left, right in merges)]))


def learn(corpus: Iterable[str], size: int, known: Sequence[Merge] = ()) -> list[Merge]:
    """Learns merge rules until the alphabet has `size` tokens.

    If pairs are equally frequent, the first one in alphabetical order is merged, so that a corpus always gives the same
    rules.

    Args:
        corpus: texts.
        size: total number of tokens, including bytes.
        known: rules to start with.

    Returns:
        All rules, the known ones first.
    """
    counts = Counter(byte_characters(piece) for text in corpus for piece in re.findall(PATTERN, text))
    words = _Words(counts)
    merges = list(known)
    for rule in merges:
        words.join(rule)
    made = set(tokens(merges))
    while len(made) < size and (merge := words.most_frequent()):
        words.join(merge)
        merges.append(merge)
        made.add(merge[0] + merge[1])
    return merges


class _Words:
    """The distinct pieces of a corpus as sequences of tokens, and how often each pair of adjacent tokens occurs."""

    def __init__(self, counts: Mapping[str, int]):
        self._tokens = [list(word) for word in counts]
        self._counts = list(counts.values())
        self._pairs: Counter[Merge] = Counter()
        self._holders: dict[Merge, set[int]] = {}
        for number in range(len(self._tokens)):
            self._count(number, 1)

    def most_frequent(self) -> Merge | None:
        """The pair to merge next; None if none is frequent enough."""
        most = max(self._pairs.values(), default=0)
        return None if most < LEAST_COUNT else min(pair for pair, count in self._pairs.items() if count == most)

    def join(self, merge: Merge) -> None:
        """Merges every occurrence of a pair, from the left."""
        for number in sorted(self._holders.get(merge, ())):
            self._count(number, -1)
            self._tokens[number] = _joined(self._tokens[number], merge)
            self._count(number, 1)

    def _count(self, number: int, sign: int) -> None:
        """Adds the pairs of a word to the counts, or subtracts them."""
        word, count = self._tokens[number], self._counts[number]
        for pair in pairwise(word):
            self._pairs[pair] += sign * count
            holders = self._holders.setdefault(pair, set())
            if sign > 0:
                holders.add(number)
            else:
                holders.discard(number)
            if not self._pairs[pair]:
                del self._pairs[pair]


def _joined(word: Sequence[str], merge: Merge) -> list[str]:
    joined: list[str] = []
    place = 0
    while place < len(word):
        is_pair = tuple(word[place : place + 2]) == merge
        joined.append(merge[0] + merge[1] if is_pair else word[place])
        place += 2 if is_pair else 1
    return joined

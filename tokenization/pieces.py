"""Splits text into the pieces that the model of an alphabet reads, by the regular expression of its file.

The files contain Oniguruma expressions, which the `tokenizers` library can run. Python's `re` is several times faster
for common expressions. The library runs those that may have a different meaning in `re`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from itertools import accumulate, pairwise

from tokenizers import Regex, pre_tokenizers

from mammal.tokenization.alphabet_file import PieceSplit

Span = tuple[int, int]

_NOT_BLANK = r"[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""`\\S` of Oniguruma. In Python, `\\S` also excludes the separators U+001C to U+001F."""

_PORTABLE = re.compile(
    r"""(?: \\[^A-Za-z0-9] | \\S            # an escaped sign; a visible character
          | \[ \^? (?: [^\[\]\\&] | \\[^A-Za-z0-9] )+ \]   # a set without nesting, classes or intersections
          | \(\?: | \) | \|                 # groups that capture nothing, alternatives
          | [*+?]\?? (?![*+?])              # repeats, greedy or lazy
          | \{[0-9]+(?:,[0-9]+)?\} (?![*+?])
          | [^\\\[\](){}|*+?^$]             # any other character for itself, and the dot
        )*""",
    re.VERBOSE,
)
_PUBLISHED_SINGLES = {r"<.*?>|\S": "<", r"<.*?>|\[.*?\]|\S": "<["}
"""Expressions that split text into its visible characters, if the text contains none of these characters."""


class Splitter(ABC):
    """A way to split text; `splitter` creates the right one for a file."""

    def gives_single_characters(self, text: str) -> bool:
        """Whether every piece of an ASCII text is one visible character; False if a quick check can't decide it."""
        return False

    @abstractmethod
    def pieces(self, text: str) -> list[str]:
        """The pieces in order; none is empty."""

    @abstractmethod
    def spans(self, text: str) -> list[Span]:
        """The characters [start, end) of every piece."""


def splitter(split: PieceSplit | None) -> Splitter:
    """Creates the splitter of an alphabet file; None: text stays in one piece."""
    if split is None:
        return _Whole()
    regex = _to_python(split.pattern)
    return _ByPython(regex, split) if regex else _ByLibrary(split)


class _Whole(Splitter):
    def pieces(self, text: str) -> list[str]:
        return [text] if text else []

    def spans(self, text: str) -> list[Span]:
        return [(0, len(text))] if text else []


class _ByPython(Splitter):
    def __init__(self, regex: re.Pattern[str], split: PieceSplit):
        self._regex, self._keeps_rest = regex, split.keeps_rest
        self._openers = None if split.keeps_rest else _PUBLISHED_SINGLES.get(split.pattern)

    def gives_single_characters(self, text: str) -> bool:
        return self._openers is not None and text.isascii() and not any(opener in text for opener in self._openers)

    def pieces(self, text: str) -> list[str]:
        pieces = self._regex.findall(text)
        if self._keeps_rest and len("".join(pieces)) < len(text):
            return [piece for piece in self._regex.split(text) if piece]
        return pieces

    def spans(self, text: str) -> list[Span]:
        if not self._keeps_rest:
            return [match.span() for match in self._regex.finditer(text)]
        ends = list(accumulate(map(len, self.pieces(text))))
        return list(pairwise([0, *ends]))


class _ByLibrary(Splitter):
    def __init__(self, split: PieceSplit):
        behavior, invert = ("isolated", False) if split.keeps_rest else ("removed", True)
        self._split = pre_tokenizers.Split(Regex(split.pattern), behavior=behavior, invert=invert)

    def pieces(self, text: str) -> list[str]:
        return [piece for piece, _ in self._split.pre_tokenize_str(text)]

    def spans(self, text: str) -> list[Span]:
        return [span for _, span in self._split.pre_tokenize_str(text)]


def _to_python(pattern: str) -> re.Pattern[str] | None:
    """The expression for `re`, in one group; None if it may have a different meaning in `re`."""
    if not _PORTABLE.fullmatch(pattern):
        return None
    try:
        regex = re.compile("(" + re.sub(r"(?<!\\)((?:\\\\)*)\\S", lambda m: m[1] + _NOT_BLANK, pattern) + ")")
    except re.error:
        return None
    return None if regex.fullmatch("") else regex

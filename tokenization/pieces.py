"""Cuts text into the pieces that an alphabet's model reads, by the regular expression of its file.

The files hold Oniguruma expressions, which the `tokenizers` library runs. Python's `re` reads the common ones several
times faster; expressions that might mean something else to it are left to the library.
"""

from __future__ import annotations

import re

from tokenizers import Regex, pre_tokenizers

from mammal.tokenization.alphabet_file import Split

Span = tuple[int, int]

_NOT_BLANK = r"[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""`\\S` of Oniguruma. Python's own also counts the separators U+001C to U+001F as blanks."""

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
"""Expressions that cut text without these characters into its visible characters."""


class Splitter:
    """One cut, see `Split`; None leaves the text in one piece."""

    def __init__(self, split: Split | None):
        self._split = split
        self._openers = _PUBLISHED_SINGLES.get(split.pattern) if split and not split.keeps_rest else None
        self._regex = _to_python(split.pattern) if split else None
        self._library = _to_library(split) if split and not self._regex else None

    def gives_single_characters(self, text: str) -> bool:
        """Whether every piece of an ASCII text is one visible character; False where that is not known at a glance."""
        return self._openers is not None and text.isascii() and not any(opener in text for opener in self._openers)

    def pieces(self, text: str) -> list[str]:
        if self._split is None:
            return [text] if text else []
        if self._library is not None:
            return [piece for piece, _ in self._library.pre_tokenize_str(text)]
        pieces = self._regex.findall(text)
        if self._split.keeps_rest and len("".join(pieces)) < len(text):
            return [piece for piece in self._regex.split(text) if piece]
        return pieces

    def spans(self, text: str) -> list[Span]:
        """The characters [start, end) of every piece."""
        if self._split is None:
            return [(0, len(text))] if text else []
        if self._library is not None:
            return [span for _, span in self._library.pre_tokenize_str(text)]
        if not self._split.keeps_rest:
            return [match.span() for match in self._regex.finditer(text)]
        spans, start = [], 0
        for piece in self._regex.split(text):
            if piece:
                spans.append((start, start + len(piece)))
            start += len(piece)
        return spans


def _to_python(pattern: str) -> re.Pattern[str] | None:
    if not _PORTABLE.fullmatch(pattern):
        return None
    try:
        regex = re.compile("(" + re.sub(r"(?<!\\)((?:\\\\)*)\\S", lambda m: m[1] + _NOT_BLANK, pattern) + ")")
    except re.error:
        return None
    return None if regex.fullmatch("") else regex


def _to_library(split: Split) -> pre_tokenizers.Split:
    behavior, invert = ("isolated", False) if split.keeps_rest else ("removed", True)
    return pre_tokenizers.Split(Regex(split.pattern), behavior=behavior, invert=invert)

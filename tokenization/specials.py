"""Finds special tokens in text. They are recognised in every alphabet, before its own rules see the text."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from mammal.tokenization.cache import Cache

_TAG_RUN = re.compile("((?:<[^<>]*>)+)")
_TAG = re.compile("<[^<>]*>")


class Specials:
    """The special tokens of a tokenizer, and how text is cut at them.

    Of several that begin at one character the longest is taken, then the text after it is read on (the leftmost-longest
    rule of the `tokenizers` library). Nearly all have the form `<…>`, for which one fixed expression is enough; where a
    text holds a special token of another form, or a tag that is none, the expression that lists them all is used.
    """

    def __init__(self, ids: Mapping[str, int]):
        self.ids = dict(ids)
        self._any = _one_of(list(ids))
        self._any_run = re.compile(f"((?:{self._any.pattern})+)")
        irregular = [token for token in ids if not _TAG.fullmatch(token)]
        self._find_irregular = _one_of(irregular).search if irregular else None
        self._runs: Cache[str, np.ndarray | None] = Cache(self._read_run, max_items=4096)

    def cut(self, text: str) -> list[str]:
        """The text as plain, run, plain, run, …, plain: each run is special tokens only, plain parts may be empty."""
        if self._runs.get(text) is not None:
            return ["", text, ""]
        if self._find_irregular is None or not self._find_irregular(text):
            parts = _TAG_RUN.split(text)
            for run in parts[1::2]:
                if self._runs[run] is None:
                    break
            else:
                return parts
        return self._any_run.split(text)

    def run_ids(self, run: str) -> np.ndarray:
        """int32 [n] ids of a run from `cut`. The array is shared: don't write to it."""
        ids = self._runs[run]
        assert ids is not None, f"{run!r} is no run of special tokens"
        return ids

    def run_spans(self, run: str) -> list[tuple[int, int]]:
        """Characters [start, end) of each token of a run."""
        return [match.span() for match in self._any.finditer(run)]

    def _read_run(self, run: str) -> np.ndarray | None:
        tokens = self._any.findall(run)
        if sum(map(len, tokens)) != len(run):
            return None
        return np.array([self.ids[token] for token in tokens], dtype=np.int32)


def _one_of(tokens: list[str]) -> re.Pattern[str]:
    """An expression that matches the longest of the tokens that begin at a character."""
    return re.compile("|".join(sorted(map(re.escape, tokens), key=len, reverse=True)) or "(?!)")

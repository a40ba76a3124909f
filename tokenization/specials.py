"""Finds special tokens in text. They are recognised in every alphabet, before the rules of the alphabet are applied."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from mammal.tokenization.cache import Cache

_TAG_RUN = re.compile("((?:<[^<>]*>)+)")
_TAG = re.compile("<[^<>]*>")


class Specials:
    """The special tokens of a tokenizer; splits text at special tokens.

    If several special tokens start at the same character, the longest one is used, and reading continues after it (the
    leftmost-longest rule of the `tokenizers` library). Nearly all have the form `<…>`, for which one fixed expression
    is enough. If a text contains a special token of another form, or a tag that is not a special token, an expression
    that lists all special tokens is used. It is compiled on first use, which takes longer than reading the tokenizer.

    Args:
        ids: special tokens with their ids.
    """

    def __init__(self, ids: Mapping[str, int]):
        self.ids = dict(ids)
        irregular = [token for token in ids if not _TAG.fullmatch(token)]
        self._find_irregular = _one_of(irregular).search if irregular else None
        self._runs: Cache[str, np.ndarray | None] = Cache(self._read_run, max_items=4096)

    @cached_property
    def _any(self) -> re.Pattern[str]:
        return _one_of(list(self.ids))

    @cached_property
    def _any_run(self) -> re.Pattern[str]:
        return re.compile(f"((?:{_alternatives(list(self.ids))})+)")

    def cut(self, text: str) -> list[str]:
        """Splits text into plain, run, plain, run, …, plain. A run only contains special tokens; plain may be empty."""
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
        """Ids of a run from `cut`, int32 [n]. The array is shared, so it must not be changed."""
        ids = self._runs[run]
        assert ids is not None, f"{run!r} is not a run of special tokens"
        return ids

    def run_spans(self, run: str) -> list[tuple[int, int]]:
        """Characters [start, end) of each token of a run."""
        return [match.span() for match in self._any.finditer(run)]

    def _read_run(self, run: str) -> np.ndarray | None:
        irregular = self._find_irregular is not None and self._find_irregular(run)
        tokens = self._any.findall(run) if irregular else [tag for tag in _TAG.findall(run) if tag in self.ids]
        if sum(map(len, tokens)) != len(run):
            return None
        return np.array([self.ids[token] for token in tokens], dtype=np.int32)


def _one_of(tokens: list[str]) -> re.Pattern[str]:
    """An expression that matches the longest of the tokens that start at a character."""
    return re.compile(_alternatives(tokens))


def _alternatives(tokens: list[str]) -> str:
    return "|".join(sorted(map(re.escape, tokens), key=len, reverse=True)) or "(?!)"

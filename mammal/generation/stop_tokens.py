"""Tokens that end a sequence besides `<EOS>`, named by their text.

Shapes: V ids that may be produced.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from mammal.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from mammal.tokenization import Tokenizer

_HALF_SAID = ("SMILES", "DNA")
"""Alphabets of texts that seldom are whole where a token of theirs stands: branches, rings and variants are open."""


def stop_ids(
    stop: str | Iterable[str], tokenizer: Tokenizer, open_V: np.ndarray | None = None, *, whole: bool = False
) -> tuple[int, ...]:
    """The ids of tokens that are spelt like this, in whatever alphabet.

    Args:
        stop: one text, or several; a digit may come as a number.
        open_V: ids that may be produced; None: every one.
        whole: answers keep to a grammar, and are not to be cut off in the midst of a molecule or a variant.

    Raises:
        ConfigError: a text that is no token, that no answer holds, or that leaves an answer half said.
    """
    texts = [stop] if isinstance(stop, str) or not isinstance(stop, Iterable) else stop
    spelt = _spelt(tokenizer)
    half_said = {token_id for name in _HALF_SAID for token_id in _alphabet(tokenizer, name)} if whole else set()
    found: list[int] = []
    for text in map(str, texts):
        if text not in spelt:
            raise ConfigError(f"stop is {text!r}, which is no token", hint=did_you_mean(text, spelt, noun="token"))
        ids = [token_id for token_id in spelt[text] if open_V is None or token_id in open_V]
        if not ids:
            raise ConfigError(f"stop is {text!r}, which no answer holds")
        if half_said & set(ids):
            what = f"stop is {text!r}, which would cut answers off in their midst, and their grammar makes them whole"
            raise ConfigError(what, hint="constraint=alphabet")
        found += ids
    return tuple(found)


def _spelt(tokenizer: Tokenizer) -> dict[str, list[int]]:
    """Text of a token -> ids."""
    spelt = {token: [token_id] for token, token_id in tokenizer.specials.items()}
    for alphabet in tokenizer.alphabets:
        for token_id in _alphabet(tokenizer, alphabet):
            spelt.setdefault(tokenizer.token(token_id), []).append(token_id)
    return spelt


def _alphabet(tokenizer: Tokenizer, name: str) -> list[int]:
    return tokenizer.alphabet_ids(name).tolist() if name in tokenizer.alphabets else []

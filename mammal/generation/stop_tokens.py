"""Finds tokens that end a sequence in addition to `<EOS>`, by their text.

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
"""Alphabets of texts that are usually incomplete at any inner token: branches, rings or variants are still open."""


def stop_ids(
    stop: str | Iterable[str], tokenizer: Tokenizer, open_V: np.ndarray | None = None, *, whole: bool = False
) -> tuple[int, ...]:
    """Returns the ids of tokens with these texts, in all alphabets.

    Args:
        stop: one text, or several. A digit can also be given as a number.
        tokenizer: tokenizer of the model.
        open_V: int [V]: ids that may be produced. None: all.
        whole: whether answers have a grammar, so that they must not end in the middle of a molecule or a variant.

    Raises:
        ConfigError: a text is not a token, is not possible in an answer, or would leave an answer incomplete.
    """
    texts = [stop] if isinstance(stop, str) or not isinstance(stop, Iterable) else stop
    ids_of = _token_ids(tokenizer)
    half_said = {token_id for name in _HALF_SAID for token_id in _alphabet(tokenizer, name)} if whole else set()
    found: list[int] = []
    for text in map(str, texts):
        if text not in ids_of:
            raise ConfigError(f"stop is {text!r}, which is not a token", hint=did_you_mean(text, ids_of, noun="token"))
        ids = [token_id for token_id in ids_of[text] if open_V is None or token_id in open_V]
        if not ids:
            raise ConfigError(f"stop is {text!r}, which does not occur in answers of this task")
        if half_said & set(ids):
            what = f"stop is {text!r}, which would leave answers incomplete, but their grammar requires complete ones"
            raise ConfigError(what, hint="constraint=alphabet")
        found += ids
    return tuple(found)


def _token_ids(tokenizer: Tokenizer) -> dict[str, list[int]]:
    """Returns the ids of each text of a token."""
    ids_of = {token: [token_id] for token, token_id in tokenizer.specials.items()}
    for alphabet in tokenizer.alphabets:
        for token_id in _alphabet(tokenizer, alphabet):
            ids_of.setdefault(tokenizer.token(token_id), []).append(token_id)
    return ids_of


def _alphabet(tokenizer: Tokenizer, name: str) -> list[int]:
    return tokenizer.alphabet_ids(name).tolist() if name in tokenizer.alphabets else []

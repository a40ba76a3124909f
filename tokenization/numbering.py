"""Assigns ids to tokens and checks that ids are consistent.

The rules are those of the published implementation (fuse-med-ml 0.4.1, ModularTokenizer), except that the last special
id can be used here; the published implementation never assigns it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mammal.tokenization.alphabet_file import AlphabetFile
from mammal.tokenization.errors import TokenizerError
from mammal.tokenization.prompt import reads_as_text

_IS_TEXT = "can't be a special token: '<-' is the arrow of a dative bond in SMILES, '< ' is an inequality sign"


@dataclass(frozen=True)
class Limits:
    """Highest allowed ids; None: no limit.

    Attributes:
        any_token: highest id of any token (`max_possible_token_id`); a model has this many embedding rows plus one.
        special: highest id of a special token (`max_special_token_id`); regular tokens start after it.
    """

    any_token: int | None = None
    special: int | None = None


def number_alphabets(files: Sequence[AlphabetFile], special_tokens: Iterable[str], limits: Limits) -> None:
    """Assigns an id to every token of new alphabets, in place.

    Special tokens come first, from id 0: the given ones, then those of each file in order. Regular tokens follow, from
    `limits.special` + 1 if this limit is set. Alphabets are numbered one after the other, each from its
    `minimal_token_id` or later.

    Args:
        files: the alphabets in order.
        special_tokens: the first special tokens.
        limits: highest allowed ids.

    Raises:
        TokenizerError: the limits are too low for the tokens.
    """
    names = dict.fromkeys(special_tokens)
    for file in files:
        names |= dict.fromkeys(token["content"] for token in file.document["added_tokens"])
    if limits.special is not None and len(names) - 1 > limits.special:
        raise TokenizerError(f"{len(names)} special tokens don't fit under max_special_token_id {limits.special}")
    specials = {token: id for id, token in enumerate(names)}
    next_id = len(specials) if limits.special is None else limits.special + 1
    for file in files:
        next_id = file.renumber(specials, max(next_id, file.entry.get("minimal_token_id") or 0))
    check_ids(files, limits)


def number_alphabet(file: AlphabetFile, files: Sequence[AlphabetFile], limits: Limits) -> None:
    """Assigns ids above all existing ones to the tokens of a further alphabet, in place; existing ids don't change.

    All alphabets share their special tokens, so new special tokens are also added to `files`.

    Args:
        file: the new alphabet.
        files: the existing alphabets.
        limits: highest allowed ids.

    Raises:
        TokenizerError: the limits are too low, or a special token of one alphabet is a regular token of another.
    """
    wanted = [token["content"] for token in file.document["added_tokens"]]
    missing = new_specials(wanted, files, limits)
    taken = max(highest_id(files), *missing.values(), 0)
    file.renumber(files[0].specials | missing, max(taken + 1, file.entry.get("minimal_token_id") or 0))
    _check_limit(highest_id([file]), limits)
    for other in files:
        other.add_specials(missing)


def new_specials(tokens: Iterable[str], files: Sequence[AlphabetFile], limits: Limits) -> dict[str, int]:
    """Assigns ids to special tokens that don't exist yet, in alphabetical order after the highest special id.

    Without `limits.special`, the ids follow the highest id of all tokens.

    Args:
        tokens: special tokens, new or existing.
        files: the alphabets.
        limits: highest allowed ids.

    Returns:
        The new tokens and their ids.

    Raises:
        TokenizerError: no ids are left, or a token is a regular token of an alphabet.
    """
    existing = files[0].specials
    names = sorted(set(tokens) - existing.keys())
    for name in names:
        _check_special(name, files)
    if not names:
        return {}
    first_id = highest_id(files) + 1 if limits.special is None else max(existing.values()) + 1
    last_id = limits.any_token if limits.special is None else limits.special
    if last_id is not None and last_id - first_id + 1 < len(names):
        raise TokenizerError(
            f"{len(names)} special tokens don't fit: ids {first_id} to {last_id} are free",
            hint="reuse tokens, or give the tokenizer a higher limit before a model is trained with it",
        )
    return {name: id for id, name in enumerate(names, first_id)}


def check_ids(files: Sequence[AlphabetFile], limits: Limits) -> None:
    """Checks the ids of all tokens.

    Args:
        files: the alphabets.
        limits: highest allowed ids.

    Raises:
        TokenizerError: two tokens have the same id, alphabets have different special tokens, or an id exceeds a limit.
    """
    if not files:
        raise TokenizerError("a tokenizer needs at least one alphabet")
    first, specials = files[0], files[0].specials
    if texts := [token for token in specials if reads_as_text(token)]:
        raise TokenizerError(f"{texts[0]!r} {_IS_TEXT}")
    ids = [np.fromiter(specials.values(), np.int64, len(specials))]
    for file in files:
        if file.specials != specials:
            different = sorted(dict(file.specials.items() ^ specials.items()))
            raise TokenizerError(f"{file.name} and {first.name} disagree on special tokens: {', '.join(different[:5])}")
        if missing := [token for token in specials if token not in file.vocab]:
            raise TokenizerError(f"the special token {missing[0]!r} is not in the vocabulary of {file.name}")
        if file.unknown != first.unknown:
            raise TokenizerError(f"{file.name} and {first.name} disagree on the unknown token")
        regular = file.regular
        ids.append(np.fromiter(regular.values(), np.int64, len(regular)))
    _check_unique(np.concatenate(ids), files)
    _check_limit(highest_id(files), limits)


def highest_id(files: Sequence[AlphabetFile]) -> int:
    return max(max(file.vocab.values()) for file in files)


def _check_limit(highest: int, limits: Limits) -> None:
    if limits.any_token is not None and highest > limits.any_token:
        raise TokenizerError(f"ids reach {highest}, above max_possible_token_id {limits.any_token}")


def _check_unique(ids: np.ndarray, files: Sequence[AlphabetFile]) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if counts.max() == 1 and values[0] >= 0:
        return
    id = int(values[0] if values[0] < 0 else values[counts > 1][0])
    owners = [f"{token!r} of {file.name}" for file in files for token, given in file.vocab.items() if given == id]
    raise TokenizerError(f"id {id} is not the id of one token: {', '.join(owners)}")


def _check_special(name: str, files: Sequence[AlphabetFile]) -> None:
    if not name or not isinstance(name, str):
        raise TokenizerError(f"{name!r} can't be a special token")
    if name.startswith("<@"):
        raise TokenizerError(f"{name!r} can't be a special token: '<@' opens a segment")
    if reads_as_text(name):
        raise TokenizerError(f"{name!r} {_IS_TEXT}")
    for file in files:
        if name in file.vocab:
            raise TokenizerError(
                f"{name!r} can't become a special token: it is a regular token of {file.name}",
                hint="write it in angle brackets",
            )

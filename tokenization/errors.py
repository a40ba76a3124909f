"""Errors that a user can cause; their messages state what is wrong, where, and how to correct it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches


class MammalError(ValueError):
    """Base of every error that a user of this package can cause.

    Args:
        what: one sentence that names the thing and what is wrong with it.
        where: file and line, row, position of a character, or path in the configuration. The message starts with it.
        hint: how to correct the mistake, including the nearest valid name.

    Attributes:
        exit_code: exit code of the command line: 2 for wrong use, 1 for everything else.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None):
        self.what, self.where, self.hint = what, where, hint
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.hint})" if self.hint else text

    def __reduce__(self):
        return _rebuild, (type(self), self.what, self.where, self.hint)


class PromptError(MammalError):
    """A prompt, or a template for prompts, does not follow the grammar."""


class UnknownTokenError(PromptError):
    """A value contains characters for which its alphabet has no token.

    Attributes:
        span: characters [start, end) of the prompt. None if the error names a column of the user instead.
    """

    span: tuple[int, int] | None = None

    @classmethod
    def at(cls, span: tuple[int, int], what: str, *, where: str, hint: str | None = None) -> UnknownTokenError:
        """Makes an error that records its characters.

        Args:
            span: characters [start, end) of the prompt.
            what: see `MammalError`.
            where: see `MammalError`.
            hint: see `MammalError`.
        """
        error = cls(what, where=where, hint=hint)
        error.span = span
        return error


class TokenizerError(MammalError):
    """A tokenizer folder is not valid, or a requested change of its ids is not possible."""


def did_you_mean(name: str, valid: Iterable[str], *, noun: str = "name") -> str:
    """Returns a hint with the valid names that are most similar to a name, or all of them if there are at most 12.

    Args:
        name: the unknown name.
        valid: the valid names.
        noun: what the names are, for the sentence. Default: "name".
    """
    choices = sorted(set(valid))
    for spelling in (name, name.upper(), name.lower()):
        if close := get_close_matches(spelling, choices, n=3, cutoff=0.5):
            return "did you mean " + " or ".join(close) + "?"
    if 0 < len(choices) <= 12:
        return f"valid {noun}s: " + ", ".join(choices)
    return f"{len(choices)} valid {noun}s, none of them similar"


def likely_names(name: str, valid: Iterable[str]) -> str | None:
    """Returns a hint with names that are likely to be meant, or None: for places with too many names to list them.

    Args:
        name: the unknown name.
        valid: the valid names.
    """
    folded = {text.casefold(): text for text in valid}
    close = get_close_matches(name.casefold(), folded, n=3, cutoff=0.7)
    return "did you mean " + " or ".join(folded[text] for text in close) + "?" if close else None


def meant_name(name: str, valid: Iterable[str]) -> str | None:
    """Returns the one valid name that a name can mean: itself, or the only one that differs in capitals, blanks,
    hyphens or underscores. None if there is none, or several.

    Args:
        name: as a user writes it.
        valid: the valid names.
    """
    names = list(valid)
    if name in names:
        return name
    alike = [known for known in names if _plain(known) == _plain(name)]
    return alike[0] if len(alike) == 1 else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.casefold())


def _rebuild(kind: type[MammalError], what: str, where: str | None, hint: str | None) -> MammalError:
    return kind(what, where=where, hint=hint)

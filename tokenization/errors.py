"""Errors a user can cause, and how they are told: what went wrong, where, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MammalError(ValueError):
    """Base of every error that a user of this package can cause.

    Args:
        what: one sentence that names the thing and what is wrong with it.
        where: file and line, row, character position or config path; shown before the sentence.
        hint: how to mend it, the nearest valid name included.
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
    """A prompt, or a template that makes prompts, breaks the grammar."""


class UnknownTokenError(PromptError):
    """A value holds characters for which its alphabet has no token.

    Attributes:
        span: characters [start, end) of the prompt; None once the error was told in another place's terms.
    """

    span: tuple[int, int] | None = None

    @classmethod
    def at(cls, span: tuple[int, int], what: str, *, where: str, hint: str | None = None) -> UnknownTokenError:
        error = cls(what, where=where, hint=hint)
        error.span = span
        return error


class TokenizerError(MammalError):
    """A tokenizer folder, or a change asked of its id space, is invalid."""


def did_you_mean(name: str, valid: Iterable[str], *, noun: str = "name") -> str:
    """A hint that gives the valid names nearest to `name`, or all of them where there are few."""
    choices = sorted(set(valid))
    for spelling in (name, name.upper(), name.lower()):
        if close := get_close_matches(spelling, choices, n=3, cutoff=0.5):
            return "did you mean " + " or ".join(close) + "?"
    if 0 < len(choices) <= 12:
        return f"valid {noun}s: " + ", ".join(choices)
    return f"{len(choices)} valid {noun}s, none of them similar"


def _rebuild(kind: type[MammalError], what: str, where: str | None, hint: str | None) -> MammalError:
    return kind(what, where=where, hint=hint)

"""The slots of a template whose value is neither a sequence nor a feature: how such a value is written.

Templates, their checks and the grammars of answers read this table, so a new slot is an entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mammal.tokenization.prompt import SCALARS_LITERALS

SlotKind = Literal["entity", "alphabet", "scalar", "digits", "label", "labels", "feature", "text"]


@dataclass(frozen=True)
class ValueSlot:
    """How the values of one kind of slot are written.

    Attributes:
        form: regular expression of a value.
        wanted: what a value must be, in words.
        tags: tags that the tokenizer needs for it.
        segment: alphabet of the segment of its own in which a value is written. None: each character of the value is
            written as a tag, such as `<7>`.
        is_number: whether the cells of its column are numbers.
        in_input: whether inputs can have it.
        is_answer: whether it is one value: in a target, one answer, which can be missing in a row.
        exceptions: character -> the tag that is written for it, if that is not the character in `<>`.
        sample: a value of this form, for prompts that are written without a row.
    """

    form: str
    wanted: str
    tags: tuple[str, ...]
    segment: str | None = None
    is_number: bool = False
    in_input: bool = True
    is_answer: bool = True
    exceptions: Mapping[str, str] = field(default_factory=dict)
    sample: str = "0"

    @property
    def as_tags(self) -> bool:
        """Whether each character of a value is written as a tag."""
        return self.segment is None

    def tag(self, character: str) -> str:
        """Returns the tag that is written for a character of a value.

        Args:
            character: the character.
        """
        return self.exceptions.get(character) or f"<{character}>"


UNLABELLED = "."
"""Code of a token without a label."""

_DIGITS = tuple(f"<{digit}>" for digit in range(10))

VALUES: Mapping[SlotKind, ValueSlot] = {
    "scalar": ValueSlot(
        r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
        "a finite number",
        ("<SCALAR>",),
        SCALARS_LITERALS,
        is_number=True,
    ),
    "digits": ValueSlot(
        r"[+-]?[0-9]+(?:\.[0-9]+)?", "a plain decimal number", (*_DIGITS, "<.>", "<->", "<+>"), is_number=True
    ),
    "label": ValueSlot("[0-9]+", "the index of a label", _DIGITS, in_input=False),
    "labels": ValueSlot(
        "[0-9.]+",
        "digits or dots for each token",
        (*_DIGITS, "<MASK>"),
        in_input=False,
        is_answer=False,
        exceptions={UNLABELLED: "<MASK>"},
    ),
}
"""Name of a slot -> how its values are written."""

CHARACTERS = {tag: tag[1:-1] for slot in VALUES.values() if slot.as_tags and slot.is_answer for tag in slot.tags}
"""Tag of an answer -> the character for which it is written."""

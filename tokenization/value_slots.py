"""The slots of a template whose value is neither a sequence nor a feature: how such a value is written.

Templates, their checks and the grammars of answers read this table, so a new slot is an entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mammal.tokenization.prompt import SCALARS_LITERALS

SlotKind = Literal["entity", "alphabet", "scalar", "digits", "label", "labels", "feature", "text"]

UNLABELLED = "."
"""Code of a token without a label."""


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
        sample: a value of this form, for prompts that are written without a row.
        masked: character that is written as `<MASK>`; None: there is none.
    """

    form: str
    wanted: str
    tags: tuple[str, ...]
    segment: str | None = None
    is_number: bool = False
    sample: str = "0"
    masked: str | None = None

    @property
    def as_tags(self) -> bool:
        """Whether each character of a value is written as a tag."""
        return self.segment is None


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
    "label": ValueSlot("[0-9]+", "the index of a label", _DIGITS),
    "labels": ValueSlot("[0-9.]+", "one digit or dot for each token", _DIGITS, masked=UNLABELLED),
}
"""Name of a slot -> how its values are written."""

CHARACTERS = {tag: tag[1:-1] for slot in VALUES.values() if slot.as_tags for tag in slot.tags}
"""Tag -> the character for which it is written."""

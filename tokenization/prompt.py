"""The wire format of prompts. Only this module defines how a tag is written.

    prompt  := junk? segment+
    segment := "<@TOKENIZER-TYPE=" HEAD ">" TEXT       HEAD has no ">"; TEXT ends at the next such tag or at the end
    HEAD    := NAME ("@" ATTRIBUTE)*
    ATTRIBUTE := "MAX-LEN=" int | "TRUNC-MODE=" ("RIGHT" | "RAND")       the last one wins
    NAME    := an alphabet | SCALARS_LITERALS | SCALARS_FROM_DICT | EXTERNAL_EMBEDDINGS_FROM_DICT

This is the grammar of the published implementation (biomed-multi-alignment 0.2.4 with fuse-med-ml 0.4.1), which splits
prompts by one regular expression. Everything that this expression accepts is accepted here, including unusual spellings
of numbers. Positions in error messages count characters of the prompt from 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mammal.tokenization.errors import PromptError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

SCALARS_LITERALS = "SCALARS_LITERALS"
SCALARS_FROM_DICT = "SCALARS_FROM_DICT"
EMBEDDINGS_FROM_DICT = "EXTERNAL_EMBEDDINGS_FROM_DICT"
NUMBERS_AND_EMBEDDINGS = (SCALARS_LITERALS, SCALARS_FROM_DICT, EMBEDDINGS_FROM_DICT)

TruncMode = Literal["RIGHT", "RAND"]

_OPENER = "<@TOKENIZER-TYPE="
_SEGMENT_TAG = re.compile(_OPENER + "([^>]*)>")
_TAG = re.compile(r"<(?!-[^>]|\s)[^<>]*>")
"""A whole tag. `<-` only starts a tag in `<->`; elsewhere it is the arrow of a dative bond, `[Fe]<-N…N->[Fe]` (an
extension of SMILES that RDKit reads and writes). `<` before a blank is an inequality sign, `3 < pKa and > 1`. No
tokenizer has a special token that starts with one of these."""

_MAX_LEN, _TRUNC_MODE = "MAX-LEN=", "TRUNC-MODE="


class Segment(NamedTuple):
    """A part of a prompt in one alphabet.

    Attributes:
        alphabet: name of the alphabet, or one of the three names for numbers and embeddings.
        text: the text, including tags.
        start: position of `text` in the prompt.
        max_len: maximal number of tokens, including tags; None: no limit.
        trunc: the tokens that are kept if there are more: the first ones (RIGHT, or None) or a random window (RAND).
    """

    alphabet: str
    text: str
    start: int
    max_len: int | None = None
    trunc: TruncMode | None = None

    @property
    def is_embedding(self) -> bool:
        return self.alphabet.startswith("EXTERNAL_EMBEDDINGS_")


class Tag(NamedTuple):
    """A whole `<…>` in a text, and its position."""

    text: str
    start: int


@dataclass(frozen=True)
class Slot:
    """Position of the value of a user's column in a prompt: characters [start, end) of its input or target."""

    column: str
    start: int
    end: int
    part: Literal["input", "target"] = "input"


@dataclass(frozen=True)
class Prompt:
    """A row as text.

    Attributes:
        input: text that the encoder reads.
        target: text of the answer. None at inference.
        slots: positions of the user's values in the text.
        sample: arrays for the segments SCALARS_FROM_DICT and EXTERNAL_EMBEDDINGS_FROM_DICT, by name.
    """

    input: str
    target: str | None = None
    slots: tuple[Slot, ...] = ()
    sample: Mapping[str, ArrayLike] = field(default_factory=dict)

    def value_span(
        self, start: int, end: int, part: Literal["input", "target"] = "input"
    ) -> tuple[str, int, int] | None:
        """Converts characters of the prompt to characters of the user's own value.

        Args:
            start: first character in the part.
            end: character after the last one.
            part: `"input"` or `"target"`.

        Returns:
            (column, start, end) in the value of that column. None if the characters are not inside one value.
        """
        for slot in self.slots:
            if slot.part == part and slot.start <= start and end <= slot.end:
                return slot.column, start - slot.start, end - slot.start
        return None


def parse_prompt(prompt: str) -> list[Segment]:
    """Splits a prompt into segments. Text before the first segment tag is ignored.

    Args:
        prompt: the prompt. Names of alphabets are not checked here.

    Raises:
        PromptError: there is no segment tag, or the attributes of one can't be read.
    """
    if not isinstance(prompt, str):
        raise PromptError(f"a prompt is a string, this is {type(prompt).__name__}")
    parts = _SEGMENT_TAG.split(prompt)
    if len(parts) == 1:
        raise PromptError(f"the prompt has no segment tag {_OPENER}…>", where=place(0), hint=_no_tag_hint(prompt))
    segments, position = [], len(parts[0])
    for head, text in zip(parts[1::2], parts[2::2], strict=True):
        try:
            alphabet, max_len, trunc = _parse_head(head)
        except PromptError as error:
            raise PromptError(error.what, where=place(position), hint=error.hint) from None
        position += len(_OPENER) + len(head) + 1
        segments.append(Segment(alphabet, text, position, max_len, trunc))
        position += len(text)
    return segments


@lru_cache(maxsize=4096)
def _parse_head(head: str) -> tuple[str, int | None, TruncMode | None]:
    if head.startswith("SCALARS_"):
        if head not in (SCALARS_LITERALS, SCALARS_FROM_DICT):
            hint = f"numbers are written with {SCALARS_LITERALS} or {SCALARS_FROM_DICT}, which take no attributes"
            raise PromptError(f"there is no segment type {head!r}", hint=hint)
        return head, None, None
    if head.startswith("VECTORS_"):
        raise PromptError(f"there is no segment type {head!r}", hint=f"vectors are given with {EMBEDDINGS_FROM_DICT}")
    if head.startswith("EXTERNAL_EMBEDDINGS_"):
        return head, None, None
    if "<" in head:
        raise PromptError(f"the segment tag is not closed: {_shorten(_OPENER + head)!r}", hint="close it with '>'")
    alphabet, *attributes = head.split("@")
    max_len: int | None = None
    trunc: TruncMode | None = None
    for attribute in attributes:
        if attribute.startswith(_MAX_LEN):
            max_len = _parse_max_len(attribute.removeprefix(_MAX_LEN))
        elif attribute == "TRUNC-MODE=RIGHT":
            trunc = "RIGHT"
        elif attribute == "TRUNC-MODE=RAND":
            trunc = "RAND"
        elif attribute.startswith(_TRUNC_MODE):
            raise PromptError(f"unknown {attribute!r} in the segment tag", hint="TRUNC-MODE is RIGHT or RAND")
        else:
            hint = did_you_mean(attribute.partition("=")[0], ["MAX-LEN", "TRUNC-MODE"], noun="attribute")
            raise PromptError(f"unknown attribute {attribute!r} in the segment tag", hint=hint)
    if max_len is not None and max_len < 0:
        raise PromptError(f"MAX-LEN={max_len} is negative")
    return alphabet, max_len, trunc


def _parse_max_len(text: str) -> int:
    try:
        return int(text)  # the published rule: " 3 " and "1_0" are numbers too
    except ValueError:
        raise PromptError(f"MAX-LEN={text} is not a whole number") from None


def text_before_first_tag(prompt: str) -> str:
    """The text before the first segment tag, which no alphabet reads."""
    return prompt.partition(_OPENER)[0]


def segment(alphabet: str, text: str, max_len: int | None = None, trunc: TruncMode | None = None) -> str:
    """Writes one segment.

    Args:
        alphabet: name of the alphabet.
        text: text of the segment.
        max_len: maximal number of tokens; None: no limit.
        trunc: the tokens that are kept if there are more than `max_len`; not used without `max_len`.
    """
    if max_len is None:
        return f"{_OPENER}{alphabet}>{text}"
    mode = f"@{_TRUNC_MODE}{trunc}" if trunc else ""
    return f"{_OPENER}{alphabet}@{_MAX_LEN}{max_len}{mode}>{text}"


def tag(name: str) -> str:
    """Returns the tag of a special token: `tag("BBBP")` is `<BBBP>`."""
    return f"<{name}>"


def reads_as_text(token: str) -> bool:
    """Whether a text can't be a tag, because it would be read as the arrow of a dative bond or as an inequality."""
    return token.startswith("<") and token != "<->" and (token[1:2] == "-" or token[1:2].isspace())


def find_tags(text: str) -> list[Tag]:
    """Finds every whole `<…>` in a text, including segment tags, from left to right."""
    return [Tag(match.group(), match.start()) for match in _TAG.finditer(text)]


def check_value(value: str, *, name: str = "value") -> str:
    """Checks that a value can be put into a prompt without being read as syntax.

    A single `>` (reaction SMILES) and the arrows of dative bonds (`[Fe]<-N…N->[Fe]`) are plain text.

    Args:
        value: the value.
        name: name of the value in the error message.

    Returns:
        The value.

    Raises:
        PromptError: the value contains a whole tag, or the start of a segment tag.
    """
    if "<" not in value:
        return value
    found = _TAG.search(value)
    if found is None and _OPENER not in value:
        return value
    what, start = (found.group(), found.start()) if found else (_OPENER, value.index(_OPENER))
    raise PromptError(
        f"the {name} {_shorten(value)!r} holds the tag {_shorten(what)!r}",
        where=f"character {start + 1} of the {name}",
        hint="data can't hold tags; take it out, or write it in the template",
    )


def place(position: int) -> str:
    """A position of a prompt in the form of error messages."""
    return f"prompt, character {position + 1}"


def _no_tag_hint(prompt: str) -> str:
    if _OPENER in prompt:
        return "the tag is not closed with '>'"
    return f"begin with the alphabet, such as {_OPENER}SMILES>"


def _shorten(text: Any, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"

"""Reads the text of a template: tags, slots and quoted words.

    "<BBBP><SENTINEL_ID_0> {smiles:smiles}"      tags and slots; blanks separate them and are ignored
    '"Is it toxic?" | "Toxic?" {smiles:smiles}'  words in quotes, in one wording or several
    "<@TOKENIZER-TYPE=AA><MASK>{target}<EOS>"    raw: wire text with holes; every character is kept

No errors are raised here: a scan returns what it could read and all problems, so that they can be reported together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.errors import did_you_mean
from mammal.tokenization.prompt import EMBEDDINGS_FROM_DICT, find_tags
from mammal.tokenization.value_slots import VALUES, SlotKind, ValueSlot

Part = Literal["input", "target"]

READ_BY_FEATURE = {"descriptors": "SMILES", "morgan": "SMILES", "esm2": "AA"}
"""Alphabet of the sequences from which a feature is computed: molecules, or protein sequences for ESM-2."""

VALUE_SLOTS: dict[str, SlotKind] = {**{kind: kind for kind in VALUES}, **dict.fromkeys(READ_BY_FEATURE, "feature")}
"""Slot names that are not entities. `labels`: one label for each token of a sequence. A feature is a vector computed
from the column (`mammal.tasks.features`)."""

RAW_SLOTS = {name: kind for name, kind in VALUE_SLOTS.items() if kind in VALUES and VALUES[kind].is_answer}
COMMON_ALPHABETS = tuple(dict.fromkeys(entity.alphabet for entity in ENTITIES.values()))
"""Alphabets that hints suggest; the tokenizer determines which alphabets exist."""

_QUOTED = r'"[^"]*"'
_ITEM = re.compile(
    rf"(?P<blank>\s+)|(?P<words>{_QUOTED}(?:\s*\|\s*{_QUOTED})*)"
    r"|(?P<tag><[^<>{}]*>)|{(?P<slot>[^{}]*)}|(?P<junk>[{}>]|<?[^\s<>{}]+|<)"
)
_RAW_ITEM = re.compile(r"{(?P<slot>[^{}]*)}|(?P<text>[^{}]+)|(?P<junk>[{}])")
_NAME = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_]*)(?:@(?P<max_len>[0-9]+))?")


@dataclass(frozen=True)
class TemplateSlot:
    """A slot of a template, which is filled with a value of the row.

    Attributes:
        column: column of the user.
        kind: how the value is written; "text" is a hole of a raw template, which is filled without changes.
        name: text after the colon: the entity, alphabet or feature; for other slots their kind.
        part: side of the prompt: input or target.
        position: index of its first character in the template of that side.
        max_len: maximal number of tokens of its segment, if the template specifies it (`{p:protein@300}`); else None.
        inside_tag: for raw templates: the value is inside a tag or next to another value, so it must not contain `<` or
            `>`.
    """

    column: str
    kind: SlotKind
    name: str
    part: Part
    position: int
    max_len: int | None = None
    inside_tag: bool = False

    @property
    def key(self) -> str:
        """Key of the vector of a feature slot in `sample` (see `Tokenizer.encode`)."""
        return f"{self.column}.{self.name}"

    @property
    def value(self) -> ValueSlot | None:
        """How its value is written; None: it is a sequence, a feature or text of a raw template."""
        return VALUES.get(self.kind)

    @property
    def is_answer(self) -> bool:
        """Whether it is one value: in a target, one answer, without which a row can be."""
        return self.value is not None and self.value.is_answer

    @property
    def number_segment(self) -> str | None:
        """Alphabet of the segment of numbers, without tags, in which it is written; None: it is not written so."""
        if self.kind == "feature":
            return EMBEDDINGS_FROM_DICT
        return None if self.value is None else self.value.segment

    @property
    def as_tags(self) -> bool:
        """Whether each character of its value is written as a tag."""
        return self.value is not None and self.value.as_tags


@dataclass(frozen=True)
class Text:
    """A single tag, or a piece of wire text of a raw template."""

    text: str
    position: int


@dataclass(frozen=True)
class Words:
    """Quoted text in a template, which is written like a value of the entity `text`.

    Attributes:
        wordings: alternative wordings. Training samples one of them; otherwise the first one is used.
        position: index of its first character in the template of its side.
    """

    wordings: tuple[str, ...]
    position: int


@dataclass(frozen=True)
class Problem:
    """A problem of a template: where (index of a character in one part), what is wrong, and how to correct it."""

    part: Part
    position: int
    what: str
    hint: str | None = None

    def __str__(self) -> str:
        text = f"character {self.position + 1}: {self.what}"
        return f"{text} ({self.hint})" if self.hint else text


Node = TemplateSlot | Text | Words
Scan = tuple[tuple[Node, ...], tuple[Problem, ...]]


@lru_cache(maxsize=1 << 12)
def scan(text: str, part: Part, *, raw: bool) -> Scan:
    """Reads one side of a template.

    Args:
        text: the template of this side.
        part: side of the prompt: input or target.
        raw: whether the text is wire text with holes.

    Returns:
        The tags, texts and slots in order, and all problems.
    """
    nodes: list[Node] = []
    problems: list[Problem] = []
    for item in (_RAW_ITEM if raw else _ITEM).finditer(text):
        found = _read_raw(item, part) if raw else _read(item, part)
        if isinstance(found, Problem):
            problems.append(found)
        elif found is not None:
            nodes.append(found)
    if not nodes and not problems:
        problems.append(Problem(part, 0, "the template is empty"))
    return tuple(nodes), tuple(problems)


def _read(item: re.Match[str], part: Part) -> Node | Problem | None:
    if item["slot"] is not None:
        return _slot(item["slot"], part, item.start())
    if item["junk"] is not None:
        return _junk(item["junk"], part, item.start())
    if item["words"] is not None:
        return _words(item["words"], part, item.start())
    if item["tag"] is None:
        return None
    if item["tag"].startswith("<@"):
        hint = "name the column and its entity instead, {column:entity}, or set raw: true"
        return Problem(part, item.start(), f"{item['tag']} is wire syntax", hint)
    return Text(item["tag"], item.start())


def _read_raw(item: re.Match[str], part: Part) -> Node | Problem:
    if item["slot"] is not None:
        slot = _raw_slot(item["slot"], part, item.start())
        return _guarded(slot, item.string, item.end()) if isinstance(slot, TemplateSlot) else slot
    if item["junk"] is not None:
        return _junk(item["junk"], part, item.start())
    return Text(item["text"], item.start())


def _words(quoted: str, part: Part, position: int) -> Words | Problem:
    """`"words"`, or several wordings of one thing with bars between them."""
    found = [(match[0][1:-1], position + match.start()) for match in re.finditer(_QUOTED, quoted)]
    for words, start in found:
        if part == "target":
            return Problem(part, start, f'"{words}" is quoted text, not a target', "it belongs to the input")
        if not words.strip():
            return Problem(part, start, "quotes without words")
        if "{" in words or "}" in words:
            return Problem(part, start, "a slot can't be inside quotes", 'close them before it: "What is" {x:text} "?"')
        if tags := find_tags(words):
            return Problem(part, start, f"the tag {tags[0].text} is inside quotes", "close them before it")
    return Words(tuple(words for words, _ in found), position)


def _slot(body: str, part: Part, position: int) -> TemplateSlot | Problem:
    """`column:name` or `column:name@MAX_LEN`."""
    column, colon, kind_text = (piece.strip() for piece in body.rpartition(":"))
    if not colon or not column:
        what = f"{{{body}}} does not specify what the column contains" if body.strip() else "a slot without a column"
        return Problem(part, position, what, "write {column:entity}, such as {smiles:smiles} or {y:label}")
    match = _NAME.fullmatch(kind_text)
    name = match["name"] if match else kind_text
    kind = _kind(name) if match else None
    if match is None or kind is None:
        hint = did_you_mean(name, slot_names(), noun="entity or slot name")
        return Problem(part, position, f"unknown entity '{name}' of column '{column}'", hint)
    max_len = None if match["max_len"] is None else int(match["max_len"])
    if max_len is not None and kind not in ("entity", "alphabet"):
        return Problem(part, position, f"'{name}' takes no length", f"write {{{column}:{name}}}")
    return TemplateSlot(column, kind, name, part, position, max_len)


def _raw_slot(body: str, part: Part, position: int) -> TemplateSlot | Problem:
    """`column`, or a column and the name of a value, such as `column:label`."""
    column, _, suffix = body.rpartition(":")
    if column and suffix in RAW_SLOTS:
        return TemplateSlot(column, RAW_SLOTS[suffix], suffix, part, position)
    if not body.strip():
        return Problem(part, position, "a hole without a column", "write {column}")
    if column and _kind(suffix):
        hint = f"write the segment yourself and put {{{column}}} into it"
        return Problem(part, position, f"a raw template has no '{suffix}' slots", hint)
    return TemplateSlot(body, "text", "text", part, position)


def _kind(name: str) -> SlotKind | None:
    if name in ENTITIES:
        return "entity"
    if name in VALUE_SLOTS:
        return VALUE_SLOTS[name]
    return "alphabet" if name.isupper() else None


def _guarded(slot: TemplateSlot, text: str, end: int) -> TemplateSlot:
    """Marks a hole of a raw template that is inside `<...>` or directly next to another hole."""
    before, after = text[: slot.position], text[end:]
    opened = before.rfind("<") > before.rfind(">")
    closed = ">" in after and after.find(">") < (after.find("<") if "<" in after else len(after))
    touches = before.endswith("}") or after.startswith("{")
    if not ((opened and closed) or touches):
        return slot
    return replace(slot, inside_tag=True)


def _junk(text: str, part: Part, position: int) -> Problem:
    if text in "{}":
        other = "}" if text == "{" else "{"
        return Problem(part, position, f"'{text}' without its '{other}'", "a slot is written {column:entity}")
    if text == ">" or text.startswith("<"):
        return Problem(part, position, f"'{text}' is not a whole tag", "a tag is written <NAME>")
    if text.startswith('"'):
        return Problem(part, position, "quotes that are not closed", 'words are written "like this"')
    hint = 'only tags, slots, "words" in quotes and blanks are allowed here; set raw: true to write wire text'
    return Problem(part, position, f"the text '{text}' is neither a tag nor a slot", hint)


def slot_names() -> Sequence[str]:
    """Every name that can follow the colon of a slot, including common alphabets."""
    return [*ENTITIES, *VALUE_SLOTS, *COMMON_ALPHABETS]

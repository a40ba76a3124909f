"""Templates, which convert a row to a prompt.

    template = Template("<BBBP><SENTINEL_ID_0> {smiles:smiles}", "<SENTINEL_ID_0> {p_np:label}")
    template.render({"smiles": "CCO", "p_np": "1"}, target=True)     # -> Prompt

If an entity can be written in several ways, such as `{mol:molecule}`, each row can choose one.
docs/prompt-language.md describes the grammar and what each slot renders to.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.errors import PromptError, did_you_mean
from mammal.tokenization.prompt import (
    Prompt,
    Slot,
    check_value,
    segment,
)
from mammal.tokenization.template_syntax import Node, Part, Problem, TemplateSlot, Text, Words, scan

if TYPE_CHECKING:
    from mammal.tokenization.lint import Labels
    from mammal.tokenization.tokenizer import Tokenizer

EOS, MASK = "<EOS>", "<MASK>"
START, END = "<SEQUENCE_NATURAL_START>", "<SEQUENCE_NATURAL_END>"

TAG_ALPHABET = "AA"
"""Alphabet of segments that hold tags only, as in the published prompts: tags have the same ids in every alphabet."""

Piece = str | TemplateSlot
"""Wire text, or a slot that a value fills."""


def label_code(index: int, classes: int) -> str:
    """Returns the digits of a class: one digit for up to ten classes, else as many as the last index has.

    Args:
        index: index of the class, from 0.
        classes: number of classes.
    """
    return f"{index:0{len(str(classes - 1))}d}"


@dataclass(frozen=True)
class Template:
    """A template of prompts: what users write once per task.

        template = Template("<BBBP><SENTINEL_ID_0> {smiles:smiles}", "<SENTINEL_ID_0> {p_np:label}")
        template.render({"smiles": "CCO", "p_np": "1"}, target=True)

    Attributes:
        input: template of the text that the encoder reads.
        target: template of the answer. None: there is no answer (embedding).
        raw: `input` and `target` are wire syntax with holes `{column}`, and everything else is kept byte by byte.
    """

    input: str
    target: str | None = None
    raw: bool = False

    @property
    def slots(self) -> tuple[TemplateSlot, ...]:
        """All slots, those of the input first.

        Raises:
            PromptError: the template is malformed. The message lists all its problems.
        """
        return tuple(node for nodes in self._nodes.values() for node in nodes if isinstance(node, TemplateSlot))

    @property
    def words(self) -> tuple[Words, ...]:
        """Quoted text of the input, in order. One item can have several alternative wordings."""
        return tuple(node for node in self._nodes["input"] if isinstance(node, Words))

    @property
    def samples(self) -> dict[str, str]:
        """A value for the column of each slot, for prompts that are written without a row."""
        return {slot.column: "C" if slot.value is None else slot.value.sample for slot in self.slots}

    def columns(self, part: Part | None = None) -> list[str]:
        """Returns the columns that the template names, each once, in order of appearance.

        Args:
            part: `"input"` or `"target"`. Default: both.
        """
        return list(dict.fromkeys(slot.column for slot in self.slots if part in (None, slot.part)))

    def lint(
        self,
        columns: Iterable[str] | None = None,
        tokenizer: Tokenizer | None = None,
        labels: Labels | None = None,
        *,
        mode: str | None = None,
        features: bool = False,
        token_labels: bool = False,
    ) -> None:
        """Checks the template before any row is read. What is not given is not checked.

        Args:
            columns: columns of the data.
            tokenizer: it must contain every tag and alphabet that the template uses.
            labels: declared labels: one list for all label slots, or one list for each column.
            mode: `"encoder"` or `"decoder"`: which states of the model the targets are read from.
            features: the targets are feature slots (kind `features`); otherwise a target must not have any.
            token_labels: the target is one `labels` slot (kind `token_classification`); otherwise a target must not
                have any.

        Raises:
            PromptError: the template has problems. The message states for each what, where and the nearest valid name.
        """
        from mammal.tokenization.lint import check, problems_of

        found = problems_of(
            self,
            columns=columns,
            tokenizer=tokenizer,
            labels=labels,
            mode=mode,
            features=features,
            token_labels=token_labels,
        )
        check(self, found)

    def render(
        self,
        values: Mapping[str, str | None],
        *,
        target: bool,
        written: Mapping[str, str] | None = None,
        absent: Collection[str] = (),
        wordings: Sequence[int] = (),
    ) -> Prompt:
        """Writes one row as a prompt.

        Args:
            values: text for each column: a sequence; a number (`"1.25"`) for `scalar` and `digits`; the index of the
                class for `label`; for `labels` the index of the class of each token, `.` for a token without a label.
                Descriptors and embeddings are not text: give them to `Tokenizer.encode` as `sample`.
            target: also write the target. A label, scalar or digits slot without a value is left out of it, with the
                tags before it.
            written: for slots that can be written in several ways: column -> entity in which its value is written, such
                as `{"mol": "iupac"}`. Default: the first way.
            absent: columns of the input whose values are withheld. `<MASK>` is written instead.
            wordings: index of the wording for each item of `words`. Default: the first wording.

        Raises:
            PromptError: a value is missing, empty, malformed or contains syntax, or a slot can't be written in that
                way.
        """
        slots: list[Slot] = []
        input_text = _write(self._input_pieces(written or {}, absent, wordings), values, slots)
        if not target or self.target is None:
            return Prompt(input=input_text, slots=tuple(slots))
        pieces = self._target_pieces
        missing = {slot.column for slot in self._optional if values.get(slot.column) is None}
        if missing:
            pieces = self._wired(_without(self._nodes["target"], missing))
        return Prompt(input=input_text, target=_write(pieces, values, slots), slots=tuple(slots))

    @cached_property
    def scanned(self) -> tuple[dict[Part, tuple[Node, ...]], tuple[Problem, ...]]:
        """Nodes of each part, and every syntax problem. `lint` adds checks that need a tokenizer or data."""
        parts: dict[Part, str] = {"input": self.input}
        if self.target is not None:
            parts["target"] = self.target
        scans = {part: scan(text, part, raw=self.raw) for part, text in parts.items()}
        problems = [problem for _, found in scans.values() for problem in found]
        return {part: nodes for part, (nodes, _) in scans.items()}, tuple(problems)

    @cached_property
    def _nodes(self) -> dict[Part, tuple[Node, ...]]:
        from mammal.tokenization.lint import check

        nodes, problems = self.scanned
        check(self, problems)
        return nodes

    def _input_pieces(
        self, written: Mapping[str, str], absent: Collection[str], wordings: Sequence[int]
    ) -> list[Piece]:
        """Layout of the input, computed once for each choice."""
        choice = tuple(sorted(written.items())), frozenset(absent), tuple(wordings)
        if choice not in self._inputs:
            nodes = _worded(self._nodes["input"], wordings)
            self._inputs[choice] = self._wired(nodes, _checked(written, self.slots), absent)
        return self._inputs[choice]

    @cached_property
    def _inputs(self) -> dict[tuple[tuple[tuple[str, str], ...], frozenset[str], tuple[int, ...]], list[Piece]]:
        return {}

    @property
    def target_pieces(self) -> tuple[Piece, ...]:
        """Layout of the target: wire text and slots."""
        return tuple(self._target_pieces)

    @cached_property
    def _target_pieces(self) -> list[Piece]:
        return self._wired(self._nodes["target"])

    @cached_property
    def _optional(self) -> tuple[TemplateSlot, ...]:
        return tuple(slot for slot in self.slots if slot.part == "target" and slot.is_answer)

    def _wired(
        self, nodes: Iterable[Node], written: Mapping[str, str] | None = None, absent: Collection[str] = ()
    ) -> list[Piece]:
        if self.raw:
            return [node.text if isinstance(node, Text) else node for node in nodes if not isinstance(node, Words)]
        return _wire(nodes, written or {}, absent)


def _checked(written: Mapping[str, str], slots: Iterable[TemplateSlot]) -> Mapping[str, str]:
    """Refuses an entity in which a slot can't be written."""
    ways = {slot.column: ENTITIES[slot.name].ways for slot in slots if slot.kind == "entity" and slot.part == "input"}
    for column, name in written.items():
        if name not in ways.get(column, ()):
            hint = did_you_mean(name, ways[column]) if column in ways else did_you_mean(column, ways, noun="slot")
            raise PromptError(f"can't be written as '{name}'", where=f"column '{column}'", hint=hint)
    return written


def _worded(nodes: Iterable[Node], wordings: Sequence[int]) -> list[Node]:
    """The nodes with one wording of each quoted text; the first wording if none is chosen."""
    asked = iter(wordings)
    return [
        replace(node, wordings=(node.wordings[next(asked, 0)],)) if isinstance(node, Words) else node for node in nodes
    ]


def _without(nodes: tuple[Node, ...], missing: set[str]) -> list[Node]:
    """Removes the optional slots of missing columns, each with the tags before it."""
    kept: list[Node] = []
    run: list[Node] = []
    found = False
    for node in nodes:
        run.append(node)
        if isinstance(node, TemplateSlot):
            if not node.is_answer or node.column not in missing:
                kept += run
                found = True
            run = []
    if not found:
        raise PromptError("the row has no value for any slot of the target", where=f"column '{min(missing)}'")
    return kept + run


def _wire(nodes: Iterable[Node], written: Mapping[str, str], absent: Collection[str]) -> list[Piece]:
    """Converts the nodes of a template to wire text.

    Consecutive tags and labels form a run. A sequence starts a segment, and the run before it is put in front of its
    own tags. A number starts a segment that can't contain tags, so a run next to it gets its own segment. The last run,
    which ends with `<EOS>`, is added to the sequence before it.
    """
    pieces: list[Piece] = []
    run: list[Piece] = []
    open_for_tags = False
    for node in nodes:
        if isinstance(node, Text):
            run.append(node.text)
        elif isinstance(node, Words):
            entity = ENTITIES["text"]
            head = segment(entity.alphabet, "", max_len=entity.max_len)
            pieces += [head, *run, "".join(entity.tags) + START + node.wordings[0] + END]
            run, open_for_tags = [], True
        elif node.as_tags:
            run.append(node)
        elif node.kind == "scalar" and node.column in absent:
            run.append(MASK)
        elif node.number_segment is not None:
            pieces += [segment(TAG_ALPHABET, ""), *run] if run else []
            pieces += [segment(node.number_segment, ""), node]
            run, open_for_tags = [], False
        else:
            head, tags = _sequence_opening(node, written.get(node.column))
            pieces += [head, *run, tags + START, MASK if node.column in absent else node, END]
            run, open_for_tags = [], True
    pieces += [] if open_for_tags else [segment(TAG_ALPHABET, "")]
    return _joined([*pieces, *run, EOS])


def _sequence_opening(slot: TemplateSlot, written_as: str | None) -> tuple[str, str]:
    """The head of the segment, for the entity in which the value is written, and the tags of the entity."""
    if slot.kind == "alphabet":
        return segment(slot.name, "", max_len=slot.max_len), ""
    entity = ENTITIES[slot.name]
    way = ENTITIES[written_as or entity.ways[0]]
    return segment(way.alphabet, "", max_len=slot.max_len or way.max_len), "".join(entity.tags)


def _joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Joins adjacent pieces of text."""
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined


def _write(pieces: list[Piece], values: Mapping[str, str | None], slots: list[Slot]) -> str:
    """The wire text with every slot filled; appends the position of each value to `slots`."""
    written: list[str] = []
    end = 0
    for piece in pieces:
        text = piece if isinstance(piece, str) else _value_text(piece, values)
        written.append(text)
        if not isinstance(piece, str) and piece.kind != "feature":
            slots.append(Slot(piece.column, end, end + len(text), piece.part))
        end += len(text)
    return "".join(written)


def _value_text(slot: TemplateSlot, values: Mapping[str, str | None]) -> str:
    if slot.kind == "feature":
        return f"{slot.name}:{slot.key}"
    value = values.get(slot.column)
    if not value:
        what = "the row has no value for it" if value is None else "the value is empty"
        raise PromptError(what, where=f"column '{slot.column}'")
    if slot.value is None:
        return _sequence_text(slot, value)
    if re.fullmatch(slot.value.form, value) is None:
        raise PromptError(f"{value!r} is not {slot.value.wanted}", where=_where(slot))
    return "".join(map(slot.value.tag, value)) if slot.as_tags else value


def _sequence_text(slot: TemplateSlot, value: str) -> str:
    if "<" in value or ">" in value:
        if slot.inside_tag:
            raise PromptError(f"the value {value!r} is inside a tag and contains '<' or '>'", where=_where(slot))
        check_value(value, name=f"value of {_where(slot)}")
    return value


def _where(slot: TemplateSlot) -> str:
    return f"column '{slot.column}'"

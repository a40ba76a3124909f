"""The sequence of an input whose tokens have labels: which slot it is, and where its tokens are in an encoded prompt.

Shapes: R tokens that have a label, U residues, bases or atoms of the sequence, L tokens of the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.errors import DataError, TaskError
from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.errors import MammalError, did_you_mean
from mammal.tokenization.prompt import segment
from mammal.tokenization.template import START, Template
from mammal.tokenization.template_syntax import TemplateSlot, Words

if TYPE_CHECKING:
    from mammal.tokenization.encoding import Encoding
    from mammal.tokenization.tokenizer import Tokenizer

UNITS = {"AA": "residue", "DNA": "base", "SMILES": "atom"}
"""Alphabet -> what one label belongs to."""

_EXAMPLES = {"AA": "[S, T, Y]", "DNA": "[C]", "SMILES": '[N, n, "[nH]"]'}


class LabelledSequence:
    """The sequence whose residues, bases or atoms have labels.

    Args:
        template: the template of the task.
        tokenizer: the tokenizer that encodes its prompts.
        column: the column of the sequence; None: the only sequence of the input.
        at: tokens of the residues, bases or atoms that have a label; None: all of them.
        task: name of the task, for error messages.

    Attributes:
        column: the column of the sequence.
        unit: what one label belongs to: `residue`, `base` or `atom`.

    Raises:
        TaskError: the input has no such sequence, or several and `column` is None; or `at` is empty, or has a text that
            is not a token of a residue, base or atom.
    """

    def __init__(
        self, template: Template, tokenizer: Tokenizer, column: str | None, at: Sequence[str] | None, task: str
    ):
        self.tokenizer = tokenizer
        slot = _labelled_slot(template, column, task)
        self.column, self._alphabet = slot.column, _alphabet(slot)
        self.unit = UNITS[self._alphabet]
        sequences = [node for node in template.scanned[0]["input"] if _begins_a_sequence(node)]
        self._sequences, self._before = len(sequences), sequences.index(slot)
        self._start_id = tokenizer.token_id(START)
        self._texts: dict[int, str] = {}
        self._at = None if at is None else self._checked(at, task)

    def symbols(self, text: str, on_unknown: str) -> list[str]:
        """Returns the residues, bases or atoms of a sequence, in order.

        Args:
            text: the sequence, as the prompt shows it.
            on_unknown: what happens to a character without a token, see `Tokenizer.encode`.

        Raises:
            UnknownTokenError: a character has no token, and `on_unknown` is `raise`.
        """
        how: dict[str, Any] = {"on_unknown": on_unknown, "require_eos": False}
        ids = self.tokenizer.encode(segment(self._alphabet, text), **how).ids_L.tolist()
        return list(self._units(ids).values())

    def has_label(self, symbols: Sequence[str]) -> np.ndarray:
        """Returns which residues, bases or atoms of a sequence have a label, bool [U].

        Args:
            symbols: what `symbols` returns.
        """
        return np.array([self._at is None or symbol in self._at for symbol in symbols], dtype=bool)

    def positions(self, encoding: Encoding) -> np.ndarray:
        """Returns the positions of the tokens that have a label, int64 [R]: fewer than the sequence has if it is cut.

        Args:
            encoding: the encoded prompt.

        Raises:
            DataError: the limits of the prompt leave none of them.
        """
        starts = np.flatnonzero(encoding.ids_L == self._start_id)
        if len(starts) == self._sequences:
            first = int(starts[self._before]) + 1
            ids = encoding.ids_L[first:].tolist()
            length = next((place for place, i in enumerate(ids) if i in self._tags), len(ids))
            units = self._units(ids[:length])
            read_R = first + np.array(list(units), dtype=np.int64)[self.has_label(list(units.values()))]
            if len(read_R):
                return read_R
        hint = f"a longer {{{self.column}:entity@N}} or max_len.input"
        raise DataError(f"the limits of the prompt leave no {self.named} of column {self.column}", hint=hint)

    @property
    def named(self) -> str:
        """What has a label, as text: `residue`, or `S, T or Y`."""
        *others, last = sorted(self._at or ()) or [self.unit]
        return f"{', '.join(others)} or {last}" if others else last

    def _units(self, ids: Sequence[int]) -> dict[int, str]:
        """Residues, bases or atoms: position of the first token -> text."""
        return labelled_units([self._text(i) for i in ids], atoms=self._alphabet == "SMILES")

    def _checked(self, at: Sequence[str], task: str) -> frozenset[str]:
        """The tokens of `labels_at`, each of one residue, base or atom."""
        if not at:
            raise TaskError("labels_at is empty", where=task, hint=f"name a {self.unit}, or leave labels_at out")
        for symbol in at:
            try:
                known = self.symbols(symbol, "raise") == [symbol] and symbol.count("[") == symbol.count("]")
            except MammalError:
                known = False
            if not known or symbol in self.tokenizer.specials:
                upper = f"{symbol.upper()!r}, or " if self._alphabet != "SMILES" and symbol != symbol.upper() else ""
                hint = f"{upper}a list of {self.unit}s as they are written, such as {_EXAMPLES[self._alphabet]}"
                raise TaskError(f"labels_at has {symbol!r}, which is no {self.unit}", where=task, hint=hint)
        return frozenset(at)

    @cached_property
    def _tags(self) -> frozenset[int]:
        """Special tokens, which are not part of a sequence; an unknown character is."""
        return frozenset(self.tokenizer.specials.values()) - {self.tokenizer.unk_id}

    def _text(self, token_id: int) -> str:
        if token_id not in self._texts:
            self._texts[token_id] = self.tokenizer.token(token_id)
        return self._texts[token_id]


def labelled_units(tokens: Sequence[str], *, atoms: bool) -> dict[int, str]:
    """Returns the residues, bases or atoms of a sequence: position of the first token -> text, in order.

    What stands in brackets is one of them, also if the vocabulary does not hold it as a whole: an atom such as
    `[235U]`, a variant such as `[C/CTT]`.

    Args:
        tokens: texts of the tokens of the sequence.
        atoms: the sequence is a SMILES, whose bonds, branches and ring closures are no atoms.
    """
    found: dict[int, str] = {}
    open_at: int | None = None
    for place, token in enumerate(tokens):
        if open_at is not None:
            found[open_at] += token
        elif not atoms or token[:1].isalpha() or token[:1] in "*[":
            found[place] = token
            if token[:1] == "[":
                open_at = place
        if token.endswith("]"):
            open_at = None
    return found


def _labelled_slot(template: Template, column: str | None, task: str) -> TemplateSlot:
    slots = {slot.column: slot for slot in template.slots if slot.part == "input" and _alphabet(slot) in UNITS}
    if column is None and len(slots) == 1:
        return next(iter(slots.values()))
    if column in slots:
        return slots[column]
    if not slots:
        what = "the input has no protein, DNA or SMILES whose tokens could have labels"
        raise TaskError(what, where=task, hint="write a slot such as {sequence:protein}")
    if column is None:
        what = f"the input has several sequences: {', '.join(slots)}"
        raise TaskError(what, where=task, hint=f"labels_of: {next(iter(slots))}, the one that has the labels")
    hint = did_you_mean(column, slots, noun="sequence of the input")
    raise TaskError(f"labels_of is {column!r}", where=task, hint=hint)


def _begins_a_sequence(node: Any) -> bool:
    """Whether a node of a template writes the tag that begins a sequence."""
    return isinstance(node, Words) or (isinstance(node, TemplateSlot) and node.kind in ("entity", "alphabet"))


def _alphabet(slot: TemplateSlot) -> str:
    return ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name if slot.kind == "alphabet" else ""

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
        tokens = [self._text(i) for i in ids]
        if self._alphabet != "SMILES":
            return tokens
        return [token for token, is_atom in zip(tokens, atom_tokens(tokens), strict=True) if is_atom]

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
            tokens = [self._text(i) for i in ids[:length]]
            places_U = np.flatnonzero(atom_tokens(tokens)) if self._alphabet == "SMILES" else np.arange(length)
            read_R = first + places_U[self.has_label([tokens[place] for place in places_U])]
            if len(read_R):
                return read_R
            if len(places_U):
                what = f"the model reads no {' or '.join(sorted(self._at or ()))} of column {self.column}"
                raise DataError(what, hint=f"labels_at says which {self.unit}s have a label")
        hint = f"a longer {{{self.column}:entity@N}} or max_len.input"
        raise DataError(f"the limits of the prompt leave no {self.unit} of column {self.column}", hint=hint)

    def _checked(self, at: Sequence[str], task: str) -> frozenset[str]:
        """The tokens of `labels_at`, each of one residue, base or atom."""
        if not at:
            raise TaskError("labels_at is empty", where=task, hint=f"name a {self.unit}, or leave labels_at out")
        for symbol in at:
            try:
                known = self.symbols(symbol, "raise") == [symbol]
            except MammalError:
                known = False
            if not known:
                hint = f"labels_at: a list of {self.unit}s as they are written, such as {_EXAMPLES[self._alphabet]}"
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


def atom_tokens(tokens: Sequence[str]) -> np.ndarray:
    """Returns which tokens of a SMILES are atoms, bool [R]: in the order in which the SMILES writes its atoms.

    An atom in brackets that the vocabulary does not hold as a whole is several tokens; the first counts.

    Args:
        tokens: texts of the tokens of a SMILES.
    """
    found, inside = [], False
    for token in tokens:
        found.append(not inside and (token[:1].isalpha() or token[:1] in "*["))
        inside = (inside or token[:1] == "[") and not token.endswith("]")
    return np.array(found, dtype=bool)


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

"""What rows of a task hide (`mammal.tasks.infilling`), and the whole texts that answers make of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.errors import DataError
from mammal.tasks.infilling.fill_grammar import FillGrammar, Plan, plan_of
from mammal.tasks.infilling.marks import (
    ALPHABETS,
    MARK,
    SENTINELS,
    filled,
    hide,
    marked,
    places,
    sentinels_in,
    stretches,
)
from mammal.tasks.tables.cells import Row, as_required_text, as_text, is_missing
from mammal.tokenization.prompt import parse, tag

if TYPE_CHECKING:
    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tokenization.prompt import Prompt
    from mammal.tokenization.template import Template
    from mammal.tokenization.tokenizer import Tokenizer

HIDDEN = "hidden"
"""The column that names places; with several columns that can be filled in, `COLUMN_hidden` for each."""

SMILES = "SMILES"
_LETTER = re.compile("[A-Z]")


class Filling:
    """The hidden stretches of a task's rows.

    Attributes:
        columns: of the input, whose texts may hide stretches; none for tasks that don't fill in.
        places: column -> the column that names the places it hides.
        molecules: those of the columns that hold SMILES.
    """

    def __init__(self, config: TaskConfig, template: Template, tokenizer: Tokenizer):
        alphabets = _alphabets(template) if config.kind == "denoising" or config.infill else {}
        self.columns = tuple(column for column, alphabet in alphabets.items() if alphabet in ALPHABETS)
        self.places = {c: HIDDEN if len(self.columns) == 1 else f"{c}_{HIDDEN}" for c in self.columns}
        self.molecules = frozenset(column for column in self.columns if alphabets[column] == SMILES)
        self._alphabets, self._tokenizer = alphabets, tokenizer

    def text(self, row: Row, column: str, aliases: Mapping[str, str]) -> str | None:
        """The cell with its hidden stretches marked, as it stands otherwise; None where it hides nothing.

        Raises:
            DataError: places that can't be, or that cut a token in two; marks and places in one row.
        """
        if column not in self.columns:
            return None
        text = as_required_text(row, column, aliases)
        hidden = row.get(self.places[column])
        if is_missing(hidden):
            return text if MARK in text else None
        if MARK in text:
            raise DataError("has marks, and places to hide besides", where=f"column {column}", hint="one of the two")
        spans = places(as_text(hidden), len(text), self.places[column])
        return marked(text, spans, self._tokens(text, spans, column))

    def hide(self, prompt: Prompt) -> Prompt:
        """The prompt with sentinels in place of marks."""
        return hide(prompt, self.columns) if self.columns else prompt

    def sentinels(self, prompt: Prompt) -> list[str]:
        """Those that hide stretches, in order."""
        return [name for names in sentinels_in(prompt, self.columns).values() for name in names]

    def hides(self, row: Row, aliases: Mapping[str, str]) -> bool:
        """Whether a row hides anything.

        Raises:
            DataError: as `text`.
        """
        return any(self.text(row, column, aliases) for column in self.columns)

    def completed(self, prompt: Prompt, fill_of: Mapping[str, str], read: Callable[[str], str]) -> dict[str, str]:
        """Column -> its text with every hidden stretch filled; columns that hide nothing are left out.

        Args:
            prompt: as the model read it.
            fill_of: sentinel -> what was generated for it.
            read: gives a column's text with its marks.
        """
        named = sentinels_in(prompt, self.columns)
        return {c: filled(read(c), [fill_of.get(s, "") for s in names]) for c, names in named.items() if names}

    def lengths(self, row: Row, aliases: Mapping[str, str]) -> list[int]:
        """Marks of each hidden stretch, in the order of the sentinels."""
        texts = [self.text(row, column, aliases) or "" for column in self.columns]
        return [end - start for text in texts for start, end in stretches(text)]

    def grammar(self, candidates_V: np.ndarray) -> FillGrammar:
        """What answers keep to: sentinels in order, each followed by tokens of its text's alphabet.

        Args:
            candidates_V: ids among which training scores answers, and so decoding does.
        """
        alphabets = {name: self._fill_ids(name) for name in {self._alphabets[c] for c in self.columns}}
        known = np.array([self._tokenizer.special_id(tag(f"SENTINEL_ID_{i}")) for i in range(SENTINELS)])
        sentinels = known[np.isin(known, candidates_V)]
        default = plan_of([int(sentinels[0])], [self._alphabets[self.columns[0]]])
        return FillGrammar(alphabets, sentinels, self._tokenizer.eos_id, default, candidates_V)

    def plan(self, prompt: Prompt, lengths: Sequence[int] | None) -> Plan:
        """What a row's answer has to fill; nothing for a row that hides nothing.

        Args:
            prompt: as the model read it.
            lengths: tokens of each stretch; None: at least one.
        """
        named = sentinels_in(prompt, self.columns)
        sentinels = [self._tokenizer.special_id(name) for names in named.values() for name in names]
        alphabets = [self._alphabets[column] for column, names in named.items() for _ in names]
        return plan_of(sentinels, alphabets, lengths)

    def _fill_ids(self, alphabet: str) -> np.ndarray:
        """Ids that a fill is made of: every token of a molecule, of sequences letters alone (DNA also has variants)."""
        ids = self._tokenizer.alphabet_ids(alphabet)
        if alphabet == SMILES:
            return ids
        return np.array([token_id for token_id in ids.tolist() if _LETTER.fullmatch(self._tokenizer.token(token_id))])

    def _tokens(self, text: str, spans: Sequence[tuple[int, int]], column: str) -> list[int]:
        """Tokens of each stretch.

        Raises:
            DataError: a stretch ends within a token, such as the `Cl` of SMILES.
        """
        wire = f"<@TOKENIZER-TYPE={self._alphabets[column]}>{text}<EOS>"
        offset = len(wire) - len("<EOS>") - len(text)
        offsets = self._tokenizer.encode(wire, on_unknown="warn").offsets_L2 - offset
        starts, ends = set(offsets[:, 0].tolist()), set(offsets[:, 1].tolist())
        counts = []
        for start, end in spans:
            if start not in starts or end not in ends:
                what = f"{start + 1}-{end} cuts a token in two: {text[max(0, start - 3) : end + 3]!r}"
                raise DataError(what, where=f"column {self.places[column]}")
            counts.append(int(((offsets[:, 0] >= start) & (offsets[:, 1] <= end)).sum()))
        return counts


def nothing_hidden(places: Mapping[str, str]) -> str:
    """What a row that hides nothing is told.

    Args:
        places: see `Filling`.
    """
    columns = ", ".join(f"{column} (or places in {named})" for column, named in places.items())
    return f"hides nothing to fill in: write marks such as ACD____GHI in {columns}"


def _alphabets(template: Template) -> dict[str, str]:
    """Column -> the alphabet its text is written in, for texts of the input."""
    numbers = {slot.column for slot in template.slots if slot.kind in ("scalar", "digits", "label")}
    values = {slot.column: "0" if slot.column in numbers else "C" for slot in template.slots}
    prompt = template.render(values, target=False)
    segments = parse(prompt.input)
    held = [(slot.column, [g.alphabet for g in segments if g.start <= slot.start][-1]) for slot in prompt.slots]
    return {column: alphabet for column, alphabet in held if column not in numbers}

"""The hidden stretches of a task's rows (`mammal.tasks.infilling`), and the texts completed by answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.infilling.fill_grammar import FillGrammar, Plan, plan_of
from mammal.tasks.infilling.marks import (
    ALPHABETS,
    ANY,
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
from mammal.tokenization.prompt import parse_prompt, tag

if TYPE_CHECKING:
    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tokenization.prompt import Prompt
    from mammal.tokenization.template import Template
    from mammal.tokenization.tokenizer import Tokenizer

HIDDEN = "hidden"
"""Name of the column of hidden places; `COLUMN_hidden` for each column, if several columns can be filled in."""

SMILES = "SMILES"
_LETTER = re.compile("[A-Z]")


class Filling:
    """The hidden stretches of a task's rows.

    Attributes:
        columns: input columns with texts that may have hidden stretches; empty for tasks without infilling.
        places: column -> the column with its hidden places.
        molecules: those of the columns that hold SMILES.
        letters: column -> letter that prompts repeat to show the length of a stretch; empty if they don't show it.

    Raises:
        TaskError: `infill_lengths` is declared, and a column has an alphabet without a letter for it.
    """

    def __init__(self, config: TaskConfig, template: Template, tokenizer: Tokenizer):
        alphabets = _alphabets(template) if config.family == "denoising" or config.infill else {}
        self.columns = tuple(column for column, alphabet in alphabets.items() if alphabet in ALPHABETS)
        self.places = {c: HIDDEN if len(self.columns) == 1 else f"{c}_{HIDDEN}" for c in self.columns}
        self.molecules = frozenset(column for column in self.columns if alphabets[column] == SMILES)
        self.letters = _letters(config, {column: alphabets[column] for column in self.columns})
        self._alphabets, self._tokenizer = alphabets, tokenizer

    def text(self, row: Row, column: str, aliases: Mapping[str, str]) -> str | None:
        """Returns the cell with its hidden stretches marked and otherwise unchanged; None if nothing is hidden.

        Args:
            row: the row.
            column: one of `columns`.
            aliases: template column -> name of the column in the file.

        Raises:
            DataError: the places are not valid or divide a token, or the row has both marks and places.
        """
        if column not in self.columns:
            return None
        text = as_required_text(row, column, aliases)
        hidden = row.get(self.places[column])
        if is_missing(hidden):
            return text if MARK in text else None
        if MARK in text:
            raise DataError("has marks, and places to hide, too", where=f"column {column}", hint="one of the two")
        spans = places(as_text(hidden), len(text), self.places[column])
        return marked(text, spans, self._tokens(text, spans, column))

    def hide(self, prompt: Prompt) -> Prompt:
        """Returns the prompt with sentinels instead of marks, and their lengths if the task shows these."""
        return hide(prompt, self.columns, self.letters) if self.columns else prompt

    def sentinels(self, prompt: Prompt) -> list[str]:
        """Returns the sentinels of hidden stretches in a prompt, in order."""
        return [name for names in sentinels_in(prompt, self.columns).values() for name in names]

    def hides(self, row: Row, aliases: Mapping[str, str]) -> bool:
        """Whether a row has a hidden stretch; arguments as for `text`.

        Raises:
            DataError: as `text`.
        """
        return any(self.text(row, column, aliases) for column in self.columns)

    def completed(self, prompt: Prompt, fill_of: Mapping[str, str], read: Callable[[str], str]) -> dict[str, str]:
        """Returns the texts with every hidden stretch filled, by column; columns without hidden stretches are left out.

        Args:
            prompt: the prompt that the model read.
            fill_of: sentinel -> the text generated for it.
            read: function that returns the text of a column with its marks.
        """
        named = sentinels_in(prompt, self.columns)
        return {c: filled(read(c), [fill_of.get(s, "") for s in names]) for c, names in named.items() if names}

    def lengths(self, row: Row, aliases: Mapping[str, str]) -> list[int]:
        """Returns the number of marks of each hidden stretch, in the order of the sentinels."""
        texts = [self.text(row, column, aliases) or "" for column in self.columns]
        return [end - start for text in texts for start, end in stretches(text)]

    def grammar(self, candidates_V: np.ndarray) -> FillGrammar:
        """Returns the grammar of answers: sentinels in order, each followed by tokens of its text's alphabet.

        Args:
            candidates_V: ids that are scored in training, and therefore in decoding, int64 [V].
        """
        alphabets = {name: self._fill_ids(name) for name in {self._alphabets[c] for c in self.columns}}
        known = np.array([self._tokenizer.special_id(tag(f"SENTINEL_ID_{i}")) for i in range(SENTINELS)])
        sentinels = known[np.isin(known, candidates_V)]
        default = plan_of([int(sentinels[0])], [self._alphabets[self.columns[0]]])
        return FillGrammar(alphabets, sentinels, self._tokenizer.eos_id, default, candidates_V)

    def plan(self, prompt: Prompt, lengths: Sequence[int] | None) -> Plan:
        """Returns the stretches that a row's answer has to fill; empty for a row without hidden stretches.

        Args:
            prompt: the prompt that the model read.
            lengths: number of tokens of each stretch; None: at least one token each.
        """
        named = sentinels_in(prompt, self.columns)
        sentinels = [self._tokenizer.special_id(name) for names in named.values() for name in names]
        alphabets = [self._alphabets[column] for column, names in named.items() for _ in names]
        return plan_of(sentinels, alphabets, lengths)

    def _fill_ids(self, alphabet: str) -> np.ndarray:
        """Ids allowed in a fill: all tokens of SMILES; only letters for sequences, so no variants in DNA."""
        ids = self._tokenizer.alphabet_ids(alphabet)
        if alphabet == SMILES:
            return ids
        return np.array([token_id for token_id in ids.tolist() if _LETTER.fullmatch(self._tokenizer.token(token_id))])

    def _tokens(self, text: str, spans: Sequence[tuple[int, int]], column: str) -> list[int]:
        """Number of tokens of each stretch.

        Raises:
            DataError: a stretch starts or ends within a token, such as `Cl` in SMILES.
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
    """Returns the error text for a row without hidden stretches.

    Args:
        places: see `Filling`.
    """
    columns = ", ".join(f"{column} (or places in {named})" for column, named in places.items())
    return f"hides nothing to fill in: write marks such as ACD____GHI in {columns}"


def _letters(config: TaskConfig, alphabets: Mapping[str, str]) -> dict[str, str]:
    """Column -> the letter that shows the length of a stretch."""
    if not config.infill_lengths:
        return {}
    if not config.infill:
        hint = "infill: true declares that rows have hidden parts"
        raise TaskError("infill_lengths: true, and infill is false", where=f"task {config.name}", hint=hint)
    for column, alphabet in alphabets.items():
        if alphabet not in ANY:
            what = f"infill_lengths: true, and {alphabet} of column {column!r} has no letter for any token"
            raise TaskError(what, where=f"task {config.name}", hint=f"alphabets with such a letter: {', '.join(ANY)}")
    return {column: ANY[alphabet] for column, alphabet in alphabets.items()}


def _alphabets(template: Template) -> dict[str, str]:
    """Column -> alphabet of its text, for text columns of the input."""
    prompt = template.render(template.samples, target=False)
    segments = parse_prompt(prompt.input)
    numbers = {slot.column for slot in template.slots if slot.value is not None}
    held = [(slot.column, [g.alphabet for g in segments if g.start <= slot.start][-1]) for slot in prompt.slots]
    return {column: alphabet for column, alphabet in held if column not in numbers}

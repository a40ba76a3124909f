"""The tokens of a prompt that hold values of the user. All other tokens (tags, `<MASK>`, `<EOS>`) are its structure.

Shapes: L tokens of the prompt, T tokens of one value, P parts of one value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mammal.explanation.parts import KINDS, Kind, Parts, parts_of
from mammal.rows.batched import Encoded, Row, TaskEncoder
from mammal.tokenization.prompt import parse_prompt

if TYPE_CHECKING:
    from mammal.explanation.smiles_atoms import Span
    from mammal.tokenization.encoding import Encoding
    from mammal.tokenization.prompt import Prompt, Slot


@dataclass(frozen=True)
class Value:
    """A value of the user in a prompt.

    Attributes:
        column: column of the template that it fills.
        text: what the model reads: standardised molecules, upper-case residues, scaled numbers.
        parts: its parts.
        tokens_T: positions of its tokens in the prompt, int64 [T].
        spans: characters [start, end) of the text that each token covers.
    """

    column: str
    text: str
    parts: Parts
    tokens_T: np.ndarray
    spans: Sequence[Span]

    @property
    def is_number(self) -> bool:
        """Whether its token carries a number."""
        return self.parts.kind == "number"

    def attributions(self, tokens_L: np.ndarray) -> np.ndarray:
        """Returns the attribution of each part, float64 [P].

        Args:
            tokens_L: attribution of each token of the prompt, float [L].
        """
        return self.parts.of_tokens(self.spans, tokens_L[self.tokens_T])

    def tokens_of(self, parts: Sequence[int]) -> np.ndarray:
        """Returns the positions of the tokens that belong to some parts and to no other part.

        Args:
            parts: positions of the parts.
        """
        inside = set(parts)
        owned = [self.parts.shares_of(span).keys() <= inside for span in self.spans]
        return self.tokens_T[np.array(owned, dtype=bool)]


def values_of(prompt: Prompt, encoding: Encoding, every_token: bool = False) -> list[Value]:
    """Returns the values of the user in a prompt, in order.

    Args:
        prompt: the prompt.
        encoding: its tokens.
        every_token: divide every value into its tokens, not into atoms, residues or bases.
    """
    offsets_L2 = encoding.offsets_L2
    segments = [(segment.start, segment.alphabet) for segment in parse_prompt(prompt.input)]
    found = []
    for slot in prompt.slots:
        if slot.part != "input":
            continue
        alphabet = [name for start, name in segments if start <= slot.start][-1]
        kind: Kind = "token" if every_token else KINDS.get(alphabet, "token")
        found.append(_value(slot, prompt.input[slot.start : slot.end], kind, offsets_L2))
    return found


def _value(slot: Slot, text: str, kind: Kind, offsets_L2: np.ndarray) -> Value:
    starts_L, ends_L = offsets_L2.T
    inside_L = (starts_L >= slot.start) & (ends_L <= slot.end) & (ends_L > starts_L)
    tokens_T = np.flatnonzero(inside_L)
    spans = [(int(start) - slot.start, int(end) - slot.start) for start, end in offsets_L2[tokens_T]]
    return Value(slot.column, text, parts_of(text, kind, spans), tokens_T, spans)


@dataclass(frozen=True)
class ContentEncoder(TaskEncoder):
    """Encodes rows with the prompt of a task, and keeps the values of each row until they are taken.

    Attributes:
        every_token: as for `values_of`.
    """

    every_token: bool = False
    _values: dict[object, list[Value]] = field(default_factory=dict, repr=False, compare=False)

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        examples, errors = super().encode(rows, row_ids)
        by_id: Mapping[object, Row] = dict(zip(row_ids, rows, strict=True))
        for example in examples:
            prompt = self.task.render(by_id[example.row_id])
            self._values[example.row_id] = values_of(prompt, example.input, self.every_token)
        return examples, errors

    def take(self, row_id: object) -> list[Value]:
        """Returns the values of a row that was encoded, and forgets them.

        Args:
            row_id: id of the row.
        """
        return self._values.pop(row_id)

"""Rows that already contain prompts, for a model without a task: `{"prompt": …, "target": …}` in wire syntax."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mammal.errors import DataError
from mammal.rows.batched import Encoded, Encoder, Row, encode_each
from mammal.tokenization.prompt import find_tags

if TYPE_CHECKING:
    from mammal.tasks.batches.batch import Batch
    from mammal.tasks.batches.example import Example
    from mammal.tokenization import Encoding, Tokenizer

PROMPT, TARGET = "prompt", "target"


def is_prompt(data: object) -> bool:
    """Returns whether `data` is a prompt in wire syntax, or a list whose first item is one."""
    first = data[0] if isinstance(data, Sequence) and not isinstance(data, str) and data else data
    return isinstance(first, str) and bool(find_tags(first))


@dataclass(frozen=True)
class BarePromptEncoder(Encoder):
    """Encodes rows that contain prompts.

    Attributes:
        tokenizer: converts prompts to token ids.
        target: also read the column `target` (for scoring).
        on_unknown: what happens with a character without a token: "raise" gives the row an error, "warn" logs a
            warning and encodes `<UNK>`.
    """

    tokenizer: Tokenizer
    target: bool = False
    on_unknown: str = "raise"

    def key(self, row: Row) -> Hashable:
        return str(row.get(PROMPT)), str(row.get(TARGET)) if self.target else None

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        return encode_each(self._example, rows, row_ids)

    def collate(self, examples: Sequence[Example]) -> Batch:
        from mammal.tasks.batches.collate import collate

        return collate(
            examples,
            mode="decoder",
            wants=("logits",),
            pad_id=self.tokenizer.pad_id,
            start_id=self.tokenizer.decoder_start_id,
        )

    def _example(self, row: Row, row_id: int) -> Example:
        from mammal.tasks.batches.example import Example, Target

        given = self._encoding(row, PROMPT)
        if not self.target:
            return Example(row_id, given)
        ids_T = self._encoding(row, TARGET).ids_L.astype(np.int64)
        return Example(row_id, given, targets=(Target(ids_T, np.arange(len(ids_T)), ids_T),))

    def _encoding(self, row: Row, column: str) -> Encoding:
        text = row.get(column)
        if not isinstance(text, str) or not text:
            raise DataError("empty prompt", where=f"column {column}")
        return self.tokenizer.encode(text, on_unknown=self.on_unknown)  # type: ignore[arg-type]

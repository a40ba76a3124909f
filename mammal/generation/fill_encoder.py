"""Encodes rows for tasks that fill in hidden parts. Rows that hide nothing, or too much, get an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mammal.errors import MammalError
from mammal.rows.batched import Encoded, Row, TaskEncoder
from mammal.tasks.infilling.fill_grammar import FillGrammar, FillState
from mammal.tasks.infilling.filling import nothing_hidden

if TYPE_CHECKING:
    from mammal.tasks.grammar.grammar import Grammar
    from mammal.tasks.kinds.generation import GenerationTask


def answer_encoder(task: GenerationTask, grammar: Grammar | None, max_new_tokens: int) -> TaskEncoder:
    """Returns the encoder for rows for which a task generates answers.

    Args:
        task: the task.
        grammar: grammar of the answers. None: they have none.
        max_new_tokens: maximum number of tokens of an answer.
    """
    if not task.fills:
        return TaskEncoder(task)
    kept = grammar if isinstance(grammar, FillGrammar) else None
    return FillEncoder(task, grammar=kept, max_new_tokens=max_new_tokens)


@dataclass(frozen=True)
class FillEncoder(TaskEncoder):
    """Encodes rows like `TaskEncoder`, for a task that fills in hidden parts.

    Attributes:
        task: the task.
        grammar: grammar of the answers. None: they have none.
        max_new_tokens: maximum number of tokens of an answer.
    """

    task: GenerationTask
    grammar: FillGrammar | None = None
    max_new_tokens: int = 0

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        reasons = [self._refusal(row) for row in rows]
        kept = [place for place, reason in enumerate(reasons) if reason is None]
        examples, errors = super().encode([rows[place] for place in kept], [row_ids[place] for place in kept])
        refused = [(row_id, reason) for row_id, reason in zip(row_ids, reasons, strict=True) if reason is not None]
        return examples, [*errors, *refused]

    def _refusal(self, row: Row) -> str | None:
        """Returns why the hidden parts can't be filled in. None: they can, or encoding the row will raise an error."""
        try:
            hidden = self.task.fill_lengths(row)
            if hidden and self.grammar is not None:
                return self._too_much(len(hidden), self.task.fill_start(self.grammar, row))
        except MammalError:
            return None
        return None if hidden else nothing_hidden(self.task.fill_places)

    def _too_much(self, stretches: int, start: FillState) -> str | None:
        if len(start.plan) != stretches:
            return f"hides {stretches} stretches, but the task {self.task.name} answers with {len(start.plan)}"
        if start.to_close > self.max_new_tokens:
            return f"needs {start.to_close} new tokens, but max_new_tokens is {self.max_new_tokens}"
        return None

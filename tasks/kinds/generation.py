"""Generation: the target text is produced token by token; numbers in it are read by the decoder's scalar head.

Shapes: T target tokens, V scored tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from torch import Tensor

from mammal.tasks.batch import Batch, ModelOutput
from mammal.tasks.cells import Row, cell, is_missing
from mammal.tasks.example import Example, Target
from mammal.tasks.losses import token_loss, value_loss
from mammal.tasks.metrics import Answers
from mammal.tasks.prediction import Prediction
from mammal.tasks.task import Task
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.prompt import find_tags, parse

EOS = "<EOS>"
DIGITS = {f"<{character}>": character for character in "0123456789.+-"}
"""Special tokens that stand for a character of the answer."""


class GenerationTask(Task):
    """Text for a row: a molecule, a sequence, a name, digits."""

    target_is_text = True

    @property
    def wants(self) -> tuple[str, ...]:
        return ("logits", "values") if self._has_scalars else ("logits",)

    @cached_property
    def candidates_V(self) -> np.ndarray | None:
        """Tokens of the target's alphabets, its tags and `<EOS>`; None where `generation.restricted` is off."""
        if not self.config.generation.restricted:
            return None
        kinds = {slot.kind for slot in self.template.slots if slot.part == "target"}
        tags = {EOS, *(tag.text for tag in find_tags(self._sample_target) if tag.text in self.tokenizer.specials)}
        if kinds & {"digits", "label"}:
            tags |= {tag for tag in DIGITS if tag in self.tokenizer.specials}
        if "scalar" in kinds:
            tags.add("<SCALAR>")
        return np.unique(np.concatenate([self._alphabet_ids(self._sample_target), self._special_ids(tags)]))

    def example(
        self, row_id: object, row: Row, encoding: Encoding, target_text: Encoding | None, *, target: bool
    ) -> Example:
        if target_text is None:
            return Example(row_id, encoding)
        ids_T = target_text.ids_L.astype(np.int64)
        values = (target_text.values_L, target_text.has_value_L) if self._has_scalars else (None, None)
        return Example(row_id, encoding, targets=(Target(ids_T, np.arange(len(ids_T)), ids_T, *values),))

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        assert output.logits_DRV is not None and batch.labels_DR is not None, "a training batch holds labels"
        loss = token_loss(output.logits_DRV, batch.labels_DR, batch.candidates_V)
        if batch.label_values_DR is not None and output.values_DR is not None:
            loss = loss + value_loss(output.values_DR, batch.label_values_DR, self.config.loss)
        return loss

    def decode_generated(self, ids: Sequence[int], row_id: object, score: float | None = None) -> Prediction:
        """Text without tags; with several target columns also each column's own part, in the template's order."""
        chunks = [chunk for chunk in self._chunks(ids) if chunk]
        text = "".join(chunks)
        if len(self.target_columns) == 1:
            return Prediction(row_id, text=text, score=score)
        parts = [*chunks, *[""] * len(self.target_columns)]
        by_target = {
            column: Prediction(row_id, text=part, score=score)
            for column, part in zip(self.target_columns, parts, strict=False)
        }
        return Prediction(row_id, text=text, score=score, by_target=by_target)

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        aliases, found = self.config.data.columns, {}
        for column in self.target_columns:
            pairs = [
                (self._text(row, column), prediction.for_target(column).text)
                for prediction, row in zip(predictions, rows, strict=True)
                if prediction.error is None and not is_missing(cell(row, column, aliases))
            ]
            truth, said = zip(*pairs, strict=True) if pairs else ((), ())
            found[column] = Answers(np.array(truth, dtype=object), np.array(said, dtype=object))
        return found

    def _chunks(self, ids: Sequence[int]) -> list[str]:
        """Runs of regular tokens up to `<EOS>`; every other special token ends a run."""
        chunks = [""]
        for token_id in ids:
            if token_id == self.tokenizer.eos_id:
                break
            token = self.tokenizer.token(int(token_id))
            if token in DIGITS:
                chunks[-1] += DIGITS[token]
            elif token in self.tokenizer.specials:
                chunks.append("")
            else:
                chunks[-1] += token
        return chunks

    @property
    def _has_scalars(self) -> bool:
        return any(slot.kind == "scalar" and slot.part == "target" for slot in self.template.slots)

    @cached_property
    def _sample_target(self) -> str:
        """The target's wire text with one-letter values."""
        return str(self.template.render(self._one_letter_values, target=True).target)

    @property
    def _one_letter_values(self) -> dict[str, str]:
        return {s.column: "0" if s.kind in ("scalar", "digits", "label") else "C" for s in self.template.slots}

    def _alphabet_ids(self, wire: str) -> np.ndarray:
        alphabets = {segment.alphabet for segment in parse(wire)} & set(self.tokenizer.alphabets)
        return np.concatenate([self.tokenizer.alphabet_ids(a) for a in sorted(alphabets)])

    def _special_ids(self, tags: set[str]) -> np.ndarray:
        return np.array([self.tokenizer.special_id(tag) for tag in sorted(tags)], dtype=np.int64)

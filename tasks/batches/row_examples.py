"""Rows as examples and batches: the prompts of a task, encoded.

`mammal.tasks.task` adds what the model learns from a batch and what is read from its output.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mammal.tasks.batches.batch import Batch
from mammal.tasks.batches.collate import collate
from mammal.tasks.batches.example import Example
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError
from mammal.tasks.prompts.row_prompts import RowPrompts
from mammal.tasks.tables.cells import Row
from mammal.tokenization.encoding import Encoding

if TYPE_CHECKING:
    from mammal.tasks.applicability.training_rows import TrainingRows
    from mammal.tasks.probes.task_probes import TaskProbes
    from mammal.tokenization.prompt import Prompt
    from mammal.tokenization.tokenizer import Tokenizer

KnownInputs: TypeAlias = "MutableMapping[tuple[object, ...], Encoding]"
"""Encoded prompts of the encoder by their text and by what the encoding depends on."""


class RowExamples(RowPrompts, ABC):
    """The examples and batches of one declared task on one tokenizer.

    Attributes:
        probes: classical models that answer in place of the heads (`mammal.tasks.probes`); None: the heads answer.
        training_rows: what is kept of the training rows, with which rows are compared (`mammal.tasks.applicability`);
            None: nothing.

    Further attributes: see `RowPrompts`.
    """

    target_is_text = False
    """Whether answers are generated text; otherwise the heads give them in one pass."""
    changes_encoded = False
    """Whether each epoch of training changes encoded rows (`changed`), as denoising does."""

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        self.probes: TaskProbes | None = None
        self.training_rows: TrainingRows | None = None

    def render_for_encoding(
        self, row: Row, *, target: bool = False, drawn_for: object | None = None, withheld: bool = False
    ) -> Prompt:
        """As `render`, but without a target text if `encode_prepared` does not use it."""
        return self.render(row, target=target and self.target_is_text, drawn_for=drawn_for, withheld=withheld)

    def encode(self, row: Row, row_id: object = 0, *, target: bool = False, judged: bool = False) -> Example:
        """Encodes one row.

        Args:
            row: columns of the user.
            row_id: name of the row.
            target: add what the loss needs, and leave out what it does not need.
            judged: with `target`: keep everything that `decode` reads, so that one pass gives loss and prediction.

        Raises:
            DataError: a column is missing, or a cell can't be used.
            PromptError: a value contains syntax, or characters without a token.
        """
        rendered = [(row_id, row, self.render_for_encoding(row, target=target))]
        return self.encode_prepared(rendered, target=target, judged=judged)[0]

    def encode_prepared(
        self,
        rendered: Sequence[tuple[object, Row, Prompt]],
        *,
        target: bool,
        judged: bool = False,
        inputs: KnownInputs | None = None,
    ) -> list[Example]:
        """Encodes rows with their prompts together, which is faster than `encode` for each row.

        Args:
            rendered: name, columns and prompt of each row.
            target: as for `encode`.
            judged: as for `encode`.
            inputs: encoded prompts that are used again, and to which those of these rows are added, so that several
                tasks with the same prompt encode it once. None: none.
        """
        limits = self.config.max_len
        how: dict[str, Any] = {"on_unknown": self.config.on_unknown}
        prompts = [prompt for _, _, prompt in rendered]
        encodings = self._encoded_inputs(prompts, inputs)
        targets: Sequence[Encoding | None] = [None] * len(prompts)
        if target and self.target_is_text and self.template.target is not None:
            targets = self.tokenizer.encode_batch([str(p.target) for p in prompts], max_len=limits.target, **how)
        if self.config.too_long == "refuse":
            for part, found in (("input", encodings), ("target", targets)):
                _refuse_cut(part, found)
        if self.probes is not None:
            pairs = zip(rendered, encodings, strict=True)
            return [self.probes.reader.example(*given, encoding) for given, encoding in pairs]
        examples = [
            self.example(row_id, row, encoding, text, target=target, judged=judged)
            for (row_id, row, _), encoding, text in zip(rendered, encodings, targets, strict=True)
        ]
        return [
            replace(example, target_is_cut=True) if text is not None and text.is_cut else example
            for example, text in zip(examples, targets, strict=True)
        ]

    def _encoded_inputs(self, prompts: Sequence[Prompt], known: KnownInputs | None) -> list[Encoding]:
        """The encoded inputs of prompts. Prompts with arrays are always encoded, because their text is not all."""
        how: dict[str, Any] = {"max_len": self.config.max_len.input, "on_unknown": self.config.on_unknown}
        if known is None or any(prompt.sample for prompt in prompts):
            return self.tokenizer.encode_batch(prompts, **how)
        keys = [(id(self.tokenizer), *how.values(), prompt.input) for prompt in prompts]
        new = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in known}
        encoded = self.tokenizer.encode_batch(new.values(), **how)
        known.update(zip(new, encoded, strict=True))
        return [known[key] for key in keys]

    @abstractmethod
    def example(
        self,
        row_id: object,
        row: Row,
        encoding: Encoding,
        target_text: Encoding | None,
        *,
        target: bool,
        judged: bool = False,
    ) -> Example:
        """Returns an encoded input with the positions that this kind reads and the labels that it expects there.

        Args:
            row_id: name of the row.
            row: columns of the user.
            encoding: the encoded input.
            target_text: the encoded target, for kinds with a target text.
            target: as for `encode`.
            judged: as for `encode`.
        """

    def changed(self, example: Example, epoch: int) -> Example:
        """Returns an encoded row as an epoch of training shows it; only for tasks with `changes_encoded`.

        Args:
            example: the row, encoded without target.
            epoch: number of the epoch.
        """
        return example

    @property
    @abstractmethod
    def wants(self) -> tuple[str, ...]:
        """Heads that a batch of this task needs."""

    @property
    def candidates_V(self) -> np.ndarray | None:
        """Sorted ids of the tokens that the token head scores; None: all tokens."""
        return None

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Makes one batch of examples of this task.

        Args:
            examples: encoded rows.
        """
        if self.probes is not None:
            return self.probes.reader.collate(examples)
        return collate(
            examples,
            mode=self.mode,
            wants=self.wants,
            pad_id=self.tokenizer.pad_id,
            start_id=self.tokenizer.decoder_start_id if self.mode == "decoder" else self.tokenizer.pad_id,
            candidates_V=self.candidates_V,
            task=self.name,
        )

    def mask_positions(self, encoding: Encoding, wanted: int | None = None) -> np.ndarray:
        """Returns the positions of the `<MASK>` tokens, in order.

        Args:
            encoding: the encoded input.
            wanted: their number. Default: one for each target column.

        Raises:
            DataError: their number differs from the number of targets, because of truncation or the template.
        """
        found = np.flatnonzero(encoding.ids_L == self.tokenizer.mask_id)
        wanted = len(self.target_columns) if wanted is None else wanted
        if len(found) != wanted:
            raise DataError(f"truncation left {len(found)} <MASK> in the prompt for {wanted} targets")
        return found


def _refuse_cut(part: str, encodings: Sequence[Encoding | None]) -> None:
    for encoding in encodings:
        if encoding is not None and encoding.is_cut:
            what = f"the {part} has more tokens than its limit, which would leave {len(encoding)} of them"
            raise DataError(what, hint="too_long: cut reads them alone; {column:entity@N} allows N")

"""Classification: binary, multi-class and multi-label, read with one decoder step for each label.

The class stands in the target text as its code (`<SENTINEL_ID_0><1><EOS>`). A row's decoder reads everything before the
code and is asked for the code alone. Codes of several tokens (more than ten classes) are read teacher-forced along the
trie of valid codes, so that probabilities are exact. Several label slots make a multi-label task: each is decoded from
its own part of the target, over one shared encoder pass.

Shapes: B rows, K target columns, C classes, W steps of a code, P decoder rows of one column, V scored tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mammal.tasks.batch import IGNORE, Batch, ModelOutput
from mammal.tasks.calibration import ClassCalibration
from mammal.tasks.cells import Row, cell, is_missing
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.example import Example, Target
from mammal.tasks.labels import CodeBook, LabelSet
from mammal.tasks.losses import token_loss
from mammal.tasks.metrics import Answers
from mammal.tasks.prediction import Prediction
from mammal.tasks.schema import TaskConfig
from mammal.tasks.task import Task
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.template import label_code

if TYPE_CHECKING:
    from mammal.tokenization.tokenizer import Tokenizer


class ClassificationTask(Task):
    """One label of a set, or one for each of several columns."""

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        self.labels = LabelSet(config.labels)
        self.codes = config.codes or [label_code(i, len(self.labels)) for i in range(len(self.labels))]
        self.books = self._code_books()
        self.calibrations: dict[str, ClassCalibration] = {}
        if self.mode == "encoder" and self.books[0].width > 1:
            raise TaskError("encoder mode reads classes of one token", hint="mode: decoder")

    @property
    def wants(self) -> tuple[str, ...]:
        return ("logits",)

    @property
    def candidates_V(self) -> np.ndarray | None:
        return None if self.config.probability == "vocabulary" else self.books[0].tokens_V

    def prepare_target(self, row: Row) -> dict[str, str]:
        """Codes of the row's labels; a column without one is left out."""
        indices = zip(self.target_columns, self._indices(row), strict=True)
        return {column: self.codes[i] for column, i in indices if i >= 0}

    def example(
        self, row_id: object, row: Row, encoding: Encoding, target_text: Encoding | None, *, target: bool
    ) -> Example:
        indices_K = self._known_indices(row) if target else None
        if self.mode == "encoder":
            labels_R = None if indices_K is None else self._tokens_of(indices_K)
            return Example(row_id, encoding, read_R=self.mask_positions(encoding), labels_R=labels_R)
        if indices_K is None:
            return Example(row_id, encoding, targets=self._questions)
        pairs = zip(self.books, indices_K, strict=True)
        return Example(row_id, encoding, targets=tuple(t for book, i in pairs for t in self._answered(book, int(i))))

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        assert output.logits_DRV is not None and batch.labels_DR is not None, "a training batch holds labels"
        return token_loss(output.logits_DRV, batch.labels_DR, batch.candidates_V)

    def decode(self, output: ModelOutput, batch: Batch) -> list[Prediction]:
        """Probabilities of each row's labels."""
        assert output.logits_DRV is not None, "classification wants logits"
        book = self.books[0]
        logits_BKPWV = (
            output.logits_DRV.detach()
            .float()
            .reshape(len(batch), len(self.books), len(book.prefixes_P), book.width, -1)
        )
        logp_BKC = self._class_log_probabilities(logits_BKPWV).double().cpu().numpy()
        return [self._prediction(row_id, logp_KC) for row_id, logp_KC in zip(batch.row_ids, logp_BKC, strict=True)]

    def fit(self, rows: Sequence[Row]) -> None:
        """Check that training rows hold at least two classes of every column.

        Raises:
            TaskError: a column has fewer.
        """
        super().fit(rows)
        self.calibrations = {}
        indices_NK = self.truths(rows)
        for k, column in enumerate(self.target_columns):
            present = np.unique(indices_NK[indices_NK[:, k] >= 0, k])
            if len(present) < 2:
                only = self.labels.labels[present[0]] if len(present) else "no label"
                raise TaskError(f"the training rows hold only {only!r} in column {column!r}", hint="check the split")

    def calibrate(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> None:
        """Platt scaling and a decision threshold (two classes), temperature (more), from validation rows.

        Raises:
            TaskError: the predictions were calibrated already.
        """
        if self.calibrations:
            raise TaskError(f"{self.name} is calibrated already", hint="call fit first, or load a fresh task")
        for column, answers in self.answers(predictions, rows).items():
            fitted = ClassCalibration.fit(answers)
            if fitted is not None:
                self.calibrations[column] = fitted

    def state(self) -> dict[str, Any]:
        calibrations = {column: c.state() for column, c in self.calibrations.items()}
        return super().state() | {"labels": list(self.labels.labels), "calibration": calibrations}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        labels = state.get("labels", self.labels.labels)
        if list(labels) != self.labels.labels:
            raise TaskError(f"the stored labels {list(labels)} are not the task's {self.labels.labels}")
        stored = state.get("calibration", {})
        self.calibrations = {column: ClassCalibration.from_state(c) for column, c in stored.items()}

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        truth_NK, found = self.truths(rows), {}
        for k, column in enumerate(self.target_columns):
            kept = [i for i, p in enumerate(predictions) if p.error is None and truth_NK[i, k] >= 0]
            said = [predictions[i].for_target(column) for i in kept]
            index = np.array([self.labels.index(p.label, column) for p in said], dtype=np.int64)
            found[column] = Answers(truth_NK[kept, k], index, self._probabilities(said))
        return found

    def truths(self, rows: Sequence[Row]) -> np.ndarray:
        """The rows' classes, int64 [N, K]; -1 where a cell is empty or holds no label of the task."""
        found_NK = np.full((len(rows), len(self.target_columns)), -1, dtype=np.int64)
        for n, row in enumerate(rows):
            with suppress(DataError):
                found_NK[n] = self._indices(row)
        return found_NK

    def _code_books(self) -> list[CodeBook]:
        """One code book for each target column, read off the encoded targets of all classes."""
        books, start = [], 0
        for column in self.target_columns:
            targets = [self._target_ids(column, code) for code in self.codes]
            book = CodeBook.from_targets(targets, start)
            start += len(book.prefix) + book.width
            books.append(book)
        return books

    def _target_ids(self, column: str, code: str) -> np.ndarray:
        dummies = dict.fromkeys(self.columns, "C") | dict.fromkeys(self.numbers, "0")
        dummies |= dict.fromkeys(self.target_columns, self.codes[0])
        prompt = self.template.render(dummies | {column: code}, target=True)
        return self.tokenizer.encode(str(prompt.target)).ids_L

    @cached_property
    def _questions(self) -> tuple[Target, ...]:
        """The decoder rows that inference reads: each column's trie, one row for each prefix."""
        return tuple(self._target(book, book.codes_CW[c], None) for book in self.books for c in book.prefixes_P)

    def _answered(self, book: CodeBook, index: int) -> list[Target]:
        """The same decoder rows with the tokens of class `index` as labels where its path runs; none for -1."""
        labels_PW = np.full((len(book.prefixes_P), book.width), IGNORE, dtype=np.int64)
        if index >= 0:
            labels_PW[book.readers_CW[index], np.arange(book.width)] = book.codes_CW[index]
        return [
            self._target(book, book.codes_CW[c], labels_W)
            for c, labels_W in zip(book.prefixes_P, labels_PW, strict=True)
        ]

    def _target(self, book: CodeBook, code_W: np.ndarray, labels_W: np.ndarray | None) -> Target:
        first = len(book.prefix)
        ids_T = np.concatenate((book.prefix, code_W))
        return Target(ids_T, np.arange(first, first + book.width), labels_W)

    def _tokens_of(self, indices_K: np.ndarray) -> np.ndarray:
        """Code token of each column's class, IGNORE where that is -1; int64 [K]."""
        pairs = zip(self.books, indices_K, strict=True)
        return np.array([book.codes_CW[i, 0] if i >= 0 else IGNORE for book, i in pairs], dtype=np.int64)

    def _indices(self, row: Row) -> np.ndarray:
        """Class of each target column, -1 where the cell is empty."""
        cells = [(column, cell(row, column, self.config.data.columns)) for column in self.target_columns]
        return np.array([-1 if is_missing(v) else self.labels.index(v, c) for c, v in cells])

    def _known_indices(self, row: Row) -> np.ndarray:
        indices_K = self._indices(row)
        if (indices_K < 0).all():
            raise DataError("empty cell", where=f"column {', '.join(self.target_columns)}")
        return indices_K

    def _class_log_probabilities(self, logits_BKPWV: Tensor) -> Tensor:
        """log p of every class [B, K, C]: the product along its path through the trie of codes."""
        book, device = self.books[0], logits_BKPWV.device
        steps_W = torch.arange(book.width, device=device)
        readers_CW = torch.as_tensor(book.readers_CW, device=device)
        if self.config.probability == "vocabulary":
            columns_CW = torch.as_tensor(book.codes_CW, dtype=torch.int64, device=device)
            return logits_BKPWV.log_softmax(-1)[..., readers_CW, steps_W, columns_CW].sum(-1)
        columns_CW = torch.as_tensor(book.columns_CW, device=device)
        valid_CWV = torch.as_tensor(book.valid_CWV, device=device)
        logits_BKCWV = logits_BKPWV[..., readers_CW, steps_W, :].masked_fill(~valid_CWV, float("-inf"))
        paths = columns_CW.expand(*logits_BKCWV.shape[:-1]).unsqueeze(-1)
        return logits_BKCWV.log_softmax(-1).gather(-1, paths).squeeze(-1).sum(-1)

    def _prediction(self, row_id: object, logp_KC: np.ndarray) -> Prediction:
        answers = {
            column: self.answer(row_id, logp_C, self.calibrations.get(column))
            for column, logp_C in zip(self.target_columns, logp_KC, strict=True)
        }
        return answers[self.target_columns[0]] if len(answers) == 1 else Prediction(row_id, by_target=answers)

    def answer(self, row_id: object, logp_C: np.ndarray, calibration: ClassCalibration | None = None) -> Prediction:
        """The prediction that log-probabilities of the classes make."""
        probability_C = np.exp(logp_C) if calibration is None else calibration.apply(logp_C)
        if len(probability_C) > 2:
            best = int(probability_C.argmax())
            every = tuple(float(p) for p in probability_C)
            return Prediction(row_id, label=self.labels.labels[best], probability=every[best], probabilities=every)
        positive = float(probability_C[1])
        chosen = probability_C.argmax() if calibration is None else positive >= calibration.threshold
        return Prediction(row_id, value=positive, label=self.labels.labels[int(chosen)], probability=positive)

    def _probabilities(self, said: Sequence[Prediction]) -> np.ndarray:
        if len(self.labels) > 2:
            return np.array([p.probabilities for p in said], dtype=np.float64).reshape(len(said), -1)
        positive_N = np.array([p.probability for p in said], dtype=np.float64)
        return np.stack([1 - positive_N, positive_N], axis=1)

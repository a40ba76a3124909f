"""Classification tasks: binary, multi-class and multi-label; each label is predicted in one decoder step.

The class is written in the target text as its code (`<SENTINEL_ID_0><1><EOS>`). The decoder gets everything before the
code as input, and only the code is predicted. Codes of several tokens (more than ten classes) are evaluated with
teacher forcing along the trie of valid codes, so that probabilities are exact. The loss needs only the path of the true
class, and is minus the logarithm of the predicted probability. Several label slots make a multi-label task: each label
is decoded from its own part of the target, with one shared encoder pass. A missing label has no decoder row.

Shapes: B rows, D decoder rows, K target columns, C classes, W steps of a code, P decoder rows of one column, V scored
tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from mammal.tasks.batches.batch import IGNORE, Batch, ModelOutput
from mammal.tasks.batches.example import Example, Target
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.probes.target import ProbeTarget
from mammal.tasks.tables.cells import Row, cell
from mammal.tasks.targets.calibration import MINIMUM_ROWS, ClassCalibration
from mammal.tasks.targets.class_paths import branches_alone, class_log_probabilities
from mammal.tasks.targets.conformal import LabelSets
from mammal.tasks.targets.imbalance import ClassWeights
from mammal.tasks.targets.labels import CodeBook, LabelSet
from mammal.tasks.targets.losses import token_loss
from mammal.tasks.targets.members import mean_probabilities
from mammal.tasks.task import Task
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.template import label_code

if TYPE_CHECKING:
    from mammal.tokenization.tokenizer import Tokenizer


class ClassificationTask(Task):
    """A task that predicts one label of a set, or one for each of several columns."""

    has_probes = True

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        self.labels = LabelSet(config.labels)
        self.codes = config.codes or [label_code(i, len(self.labels)) for i in range(len(self.labels))]
        self.books = self._code_books()
        self.calibrations: dict[str, ClassCalibration] = {}
        self.label_sets: dict[str, LabelSets] = {}
        self.class_weights = ClassWeights(config.class_weights, self.target_columns)
        if self.mode == "encoder" and self.books[0].width > 1:
            raise TaskError("encoder mode reads classes of one token", hint="mode: decoder")

    @property
    def wants(self) -> tuple[str, ...]:
        return ("logits",) if self.probes is None else ("pooled",)

    @property
    def candidates_V(self) -> np.ndarray | None:
        return None if self.config.probability == "vocabulary" else self.books[0].tokens_V

    def prepare_target(self, row: Row) -> dict[str, str]:
        """Returns the codes of the row's labels; columns without a label are left out."""
        indices = zip(self.target_columns, self._indices(row), strict=True)
        return {column: self.codes[i] for column, i in indices if i >= 0}

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
        if self.mode == "encoder":
            asked = Example(row_id, encoding, read_R=self.mask_positions(encoding))
            return self._with_tokens(asked, self._known_indices(row)) if target else asked
        if not target:
            return Example(row_id, encoding, targets=self._questions)
        answered = self._answered if judged else self._path
        columns = zip(self.target_columns, self.books, self._known_indices(row).tolist(), strict=True)
        return Example(row_id, encoding, targets=tuple(t for column in columns for t in answered(*column)))

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Computes the mean of -log p of the labels, weighted by class; p is that of `decode` before calibration."""
        assert output.logits_DRV is not None and batch.labels_DR is not None, "a training batch holds labels"
        logits_DRV, width = output.logits_DRV, self.books[0].width
        if width > 1 and batch.candidates_V is not None:
            logits_DRV = branches_alone(logits_DRV, batch.labels_DR, self.books[0])
        # A label's -log p is a sum over the steps of its code; `token_loss` returns the mean.
        return width * token_loss(logits_DRV, batch.labels_DR, batch.candidates_V, batch.label_weights_DR)

    def decode(self, output: ModelOutput, batch: Batch) -> list[Prediction]:
        """Returns the probabilities of each row's labels. A batch with targets must have been encoded with `judged`."""
        if self.probes is not None:
            logp_BKC = self.probes.log_probabilities(output, batch, len(self.labels))
        else:
            each = [self._head_probabilities(one, len(batch)) for one in output.members or (output,)]
            logp_BKC = mean_probabilities(each)
            assert logp_BKC.shape[1] == len(self.books), "the batch was encoded for its loss alone"
        return [self._prediction(row_id, logp_KC) for row_id, logp_KC in zip(batch.row_ids, logp_BKC, strict=True)]

    def _head_probabilities(self, output: ModelOutput, rows: int) -> np.ndarray:
        """Log-probabilities of the classes by the token head of one model, float64 [B, K, C]."""
        assert output.logits_DRV is not None, "classification wants logits"
        return self.log_probabilities(output.logits_DRV.detach(), rows).double().cpu().numpy()

    def log_probabilities(self, logits_DRV: Tensor, rows: int) -> Tensor:
        """Returns the log-probabilities of the classes by the token head, float [B, K, C]; they have gradients.

        Args:
            logits_DRV: scores of the tokens, at the reads of inference.
            rows: B, number of encoder rows. If `logits_DRV` are of some of the target columns, K is their number.
        """
        book = self.books[0]
        reads = len(book.prefixes_P) * book.width
        assert logits_DRV[..., 0].numel() % (rows * reads) == 0, "the batch was encoded for its loss alone"
        logits_BKPWV = logits_DRV.float().reshape(rows, -1, len(book.prefixes_P), book.width, logits_DRV.shape[-1])
        return class_log_probabilities(logits_BKPWV, book, vocabulary=self.config.probability == "vocabulary")

    def fit(self, rows: Sequence[Row]) -> None:
        """Computes balanced class weights, and checks that training rows have at least two classes in every column.

        Raises:
            TaskError: a column has fewer than two classes.
        """
        super().fit(rows)
        self.calibrations, self.label_sets = {}, {}
        indices_NK = self.truths(rows)
        for k, column in enumerate(self.target_columns):
            present = np.unique(indices_NK[indices_NK[:, k] >= 0, k])
            if len(present) < 2:
                only = self.labels.labels[present[0]] if len(present) else "no label"
                raise TaskError(f"the training rows hold only {only!r} in column {column!r}", hint="check the split")
            self.class_weights.fit(column, indices_NK[:, k], len(self.labels))

    def calibrate(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> None:
        """Fits a calibration, a decision threshold (two classes) and sets of labels on validation rows.

        `ClassCalibration` and `LabelSets` describe them. With more than two classes, the effect of class weights on the
        probabilities is removed first.

        Raises:
            TaskError: the task is calibrated already, so the predictions are, too.
        """
        if self.calibrations:
            raise TaskError(f"{self.name} is calibrated already", hint="call fit first, or load a fresh task")
        for column, answers in self.answers(predictions, rows).items():
            fitted = ClassCalibration.fit(answers, self.class_weights.of(column))
            if fitted is not None:
                self.calibrations[column] = fitted
            if len(answers) >= MINIMUM_ROWS and answers.probability_NC is not None:
                sets = LabelSets.fit(answers.truth_N, _after(fitted, answers.probability_NC))
                self.label_sets |= {} if sets is None else {column: sets}

    def state(self) -> dict[str, Any]:
        calibrations = {column: c.state() for column, c in self.calibrations.items()}
        stored: dict[str, Any] = {"labels": list(self.labels.labels), "calibration": calibrations}
        if self.labels.positive is not None:
            stored["positive"] = self.labels.positive
        if self.label_sets:
            stored["label_sets"] = {column: sets.state() for column, sets in self.label_sets.items()}
        weights = self.class_weights.state()
        return super().state() | stored | ({"class_weights": weights} if weights else {})

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        labels = state.get("labels", self.labels.labels)
        if list(labels) != self.labels.labels:
            raise TaskError(f"the stored labels {list(labels)} are not the task's {self.labels.labels}")
        if "class_weights" in state:
            self.class_weights.load_state(state["class_weights"])
        stored = state.get("calibration", {})
        self.calibrations = {column: ClassCalibration.from_state(c) for column, c in stored.items()}
        self.label_sets = {column: LabelSets.from_state(s) for column, s in state.get("label_sets", {}).items()}

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        truth_NK, found = self.truths(rows), {}
        for k, column in enumerate(self.target_columns):
            kept = [i for i, p in enumerate(predictions) if p.error is None and truth_NK[i, k] >= 0]
            said = [predictions[i].for_target(column) for i in kept]
            index = np.array([self.labels.index(p.label, column) for p in said], dtype=np.int64)
            found[column] = Answers(truth_NK[kept, k], index, self._probabilities(said), np.array(kept, dtype=np.int64))
        return found

    def truths(self, rows: Sequence[Row]) -> np.ndarray:
        """Returns the classes of rows, int64 [N, K]; -1 if a cell is empty or is not a label of the task."""
        found_NK = np.full((len(rows), len(self.target_columns)), -1, dtype=np.int64)
        for n, row in enumerate(rows):
            with suppress(DataError):
                found_NK[n] = self._indices(row)
        return found_NK

    def probe_columns(self, rows: Sequence[Row]) -> dict[str, ProbeTarget]:
        """Returns the classes of each target column, with the weights of the task."""
        metric = self.config.metrics[0] if self.config.metrics else "accuracy"
        classes_NK = self.truths(rows)
        return {
            column: ProbeTarget(classes_NK[:, k], metric, len(self.labels), self.class_weights.of(column))
            for k, column in enumerate(self.target_columns)
        }

    def _code_books(self) -> list[CodeBook]:
        """One code book for each target column, derived from the encoded targets of all classes."""
        books, start = [], 0
        for column in self.target_columns:
            targets = [self._target_ids(column, code) for code in self.codes]
            book = CodeBook.from_targets(targets, start)
            start += len(book.prefix) + book.width
            books.append(book)
        return books

    def _target_ids(self, column: str, code: str) -> np.ndarray:
        values = self.template.samples | dict.fromkeys(self.target_columns, self.codes[0])
        prompt = self.template.render(values | {column: code}, target=True)
        return self.tokenizer.encode(str(prompt.target)).ids_L

    @cached_property
    def _questions(self) -> tuple[Target, ...]:
        """The decoder rows at inference: one row for each prefix in the trie of each column."""
        return tuple(_target(book, c, None) for book in self.books for c in book.prefixes_P)

    def _path(self, column: str, book: CodeBook, index: int) -> list[Target]:
        """The decoder row that the loss of class `index` needs; empty for -1."""
        if index < 0:
            return []
        target = _target(book, index, book.codes_CW[index])
        weights_C = self.class_weights.of(column)
        return [target if weights_C is None else replace(target, weights_R=np.full(book.width, weights_C[index]))]

    def _answered(self, column: str, book: CodeBook, index: int) -> list[Target]:
        """The decoder rows of inference, with labels in the row of class `index`; no labels for -1."""
        own = book.readers_CW[index, -1] if index >= 0 else -1
        unknown_W = np.full(book.width, IGNORE, dtype=np.int64)
        return [
            target
            for p, c in enumerate(book.prefixes_P)
            for target in (self._path(column, book, index) if p == own else [_target(book, c, unknown_W)])
        ]

    def _with_tokens(self, asked: Example, indices_K: np.ndarray) -> Example:
        """The example with the code of each column's class as label at its `<MASK>`, IGNORE for -1."""
        tokens = [book.codes_CW[i, 0] if i >= 0 else IGNORE for book, i in zip(self.books, indices_K, strict=True)]
        weights_KC = [self.class_weights.of(column) for column in self.target_columns]
        weights = [1.0 if w_C is None else w_C[i] for w_C, i in zip(weights_KC, indices_K, strict=True)]
        weighted = any(w_C is not None for w_C in weights_KC)
        return replace(
            asked,
            labels_R=np.array(tokens, dtype=np.int64),
            label_weights_R=np.array(weights, dtype=np.float32) if weighted else None,
        )

    def _indices(self, row: Row) -> np.ndarray:
        """Class of each target column, -1 if the cell is empty."""
        cells = [(column, cell(row, column, self.config.data.columns)) for column in self.target_columns]
        return np.array([self.labels.index_or_missing(value, column) for column, value in cells])

    def _known_indices(self, row: Row) -> np.ndarray:
        indices_K = self._indices(row)
        if (indices_K < 0).all():
            raise DataError("empty cell", where=f"column {', '.join(self.target_columns)}")
        return indices_K

    def _prediction(self, row_id: object, logp_KC: np.ndarray) -> Prediction:
        answers = {}
        for column, logp_C in zip(self.target_columns, logp_KC, strict=True):
            answer, sets = self.answer(row_id, logp_C, self.calibrations.get(column)), self.label_sets.get(column)
            if sets is not None:
                answer = replace(answer, label_set=tuple(self.labels.labels[i] for i in sets.of(_every(answer))))
            answers[column] = answer
        return answers[self.target_columns[0]] if len(answers) == 1 else Prediction(row_id, by_target=answers)

    def answer(self, row_id: object, logp_C: np.ndarray, calibration: ClassCalibration | None = None) -> Prediction:
        """Returns the prediction for log-probabilities of the classes.

        The label is the class with the highest uncalibrated probability (two classes: calibrated probability at or
        above the threshold), so class weights affect labels. Calibrated probabilities correspond to the natural
        frequencies of the classes.

        Args:
            row_id: name of the row.
            logp_C: log-probability of each class, float [C].
            calibration: calibration of the column; None: uncalibrated.
        """
        probability_C = np.exp(logp_C) if calibration is None else calibration.apply(logp_C)
        every = tuple(float(p) for p in probability_C)
        best = int(np.argmax(logp_C))
        if len(every) > 2:
            return Prediction(row_id, label=self.labels.labels[best], probability=every[best], probabilities=every)
        chosen = best if calibration is None else int(every[1] >= calibration.threshold)
        # Probabilities over all tokens: the two classes do not sum to one, so both are returned.
        both = every if self.config.probability == "vocabulary" else None
        label = self.labels.labels[chosen]
        return Prediction(row_id, value=every[1], label=label, probability=every[1], probabilities=both)

    def _probabilities(self, said: Sequence[Prediction]) -> np.ndarray:
        if len(self.labels) > 2:
            return np.array([p.probabilities for p in said], dtype=np.float64).reshape(len(said), -1)
        return np.array([_every(p) for p in said], dtype=np.float64).reshape(len(said), 2)


def _every(answer: Prediction) -> tuple[float, ...]:
    """Probabilities of the labels; those of two labels sum to 1. NaN if the answer is a label alone."""
    if answer.probabilities is not None and len(answer.probabilities) > 2:
        return answer.probabilities
    positive = float("nan") if answer.probability is None else answer.probability
    return 1 - positive, positive


def _after(calibration: ClassCalibration | None, probability_NC: np.ndarray) -> np.ndarray:
    """Probabilities as new rows get them, float [N, C]."""
    if calibration is None:
        return probability_NC
    with np.errstate(divide="ignore"):
        return np.array([calibration.apply(np.log(probability_C)) for probability_C in probability_NC])


def _target(book: CodeBook, index: int, labels_W: np.ndarray | None) -> Target:
    """A decoder row with the code of class `index`, which is read at each of its steps."""
    first = len(book.prefix)
    ids_T = np.concatenate((book.prefix, book.codes_CW[index]))
    return Target(ids_T, np.arange(first, first + book.width), labels_W)

"""Token classification: a label for each residue, base or atom of one sequence of the input, or for some of them.

A linear head of the task reads the state of each token of the sequence, so any encoder can learn the task: training
adds the head. A token without a label is left out of the loss. With `labels_at`, only the tokens that it names can have
a label. The answer of a row has one label for each of these tokens that the model reads: if the sequence is longer than
its limit, the answer is shorter than the sequence and ends where the model stops.

Shapes: B rows, R tokens of the sequence, C classes, N tokens of all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from mammal.tasks.batches.batch import IGNORE, Batch, ModelOutput
from mammal.tasks.batches.example import Example
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.molecules.policy import policy_words
from mammal.tasks.prompts.labelled_sequence import LabelledSequence
from mammal.tasks.tables.cells import Row, cell
from mammal.tasks.targets.imbalance import ClassWeights
from mammal.tasks.targets.labels import LabelSet
from mammal.tasks.targets.losses import token_loss
from mammal.tasks.targets.token_labels import TokenLabels
from mammal.tasks.task import Task
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.errors import MammalError
from mammal.tokenization.template import label_code
from mammal.tokenization.value_slots import UNLABELLED

if TYPE_CHECKING:
    from mammal.tokenization.tokenizer import Tokenizer

_KEEPS_ATOMS = ("off", "check")
"""Ways to standardise a molecule that keep the order of its atoms."""


class TokenClassificationTask(Task):
    """A task that predicts a label for each token of a sequence.

    Attributes:
        labels: the labels.
        token_labels: reads and writes the labels of a cell.
        sequence: finds the tokens that have the labels.
        labelled: the column whose tokens have the labels.
        unit: what one label belongs to: `residue`, `base` or `atom`.
    """

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        self.labels = LabelSet(config.labels)
        self.token_labels = TokenLabels(self.labels, config.missing_label)
        self.class_weights = ClassWeights(config.class_weights, self.target_columns)
        self.sequence = LabelledSequence(self.template, tokenizer, config.labels_of, config.labels_at, self.name)
        self.labelled, self.unit = self.sequence.column, self.sequence.unit
        self._check_order_is_kept()

    @property
    def wants(self) -> tuple[str, ...]:
        return ("token_labels",)

    @property
    def head(self) -> str:
        """Name of the head that gives the scores of the labels."""
        return self._head_name("labels")

    @property
    def head_widths(self) -> Mapping[str, int]:
        return {self.head: len(self.labels)}

    @property
    def target_column(self) -> str:
        """The column with the labels."""
        return self.target_columns[0]

    # Rows

    def prepare_target(self, row: Row) -> dict[str, str]:
        """Returns the code of each token's label, all of one width; dots for a token without a label."""
        codes = [label_code(index, len(self.labels)) for index in range(len(self.labels))]
        codes.append(UNLABELLED * len(codes[0]))
        return {self.target_column: "".join(codes[c] for c in self.classes(row).tolist())}

    def classes(self, row: Row) -> np.ndarray:
        """Returns the class of each token of a row, int64 [R]; -1 for a token without a label.

        Args:
            row: columns of the user.

        Raises:
            DataError: the row has no labels, an item is not a label, or their number is not that of the tokens.
        """
        column = self.target_column
        classes_R = self.token_labels.read(cell(row, column, self.config.data.columns), column)
        if len(classes_R) != (tokens := self._count(row)):
            one = self.sequence.named
            many = one if self.config.labels_at else f"{one}s"
            what = f"{len(classes_R)} labels for {tokens} {many} of column {self.labelled}"
            raise DataError(what, where=f"column {column}", hint=f"one for each {one}, . where there is none")
        if (classes_R < 0).all():
            raise DataError(f"no {self.unit} has a label", where=f"column {column}")
        return classes_R

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
        if self.config.labels_at and not self._count(row):
            raise DataError(
                f"column {self.labelled} has no {self.sequence.named}", hint="labels_at names what has labels"
            )
        read_R = self.sequence.positions(encoding)
        if not target:
            return Example(row_id, encoding, read_R=read_R)
        classes_R = self.classes(row)[: len(read_R)]
        known_R = classes_R >= 0
        if not known_R.any():
            raise DataError(f"no {self.unit} that the model reads has a label", where=f"column {self.target_column}")
        weights_C = self.class_weights.of(self.target_column)
        weights_R = None if weights_C is None else np.where(known_R, weights_C[classes_R], 1.0).astype(np.float32)
        labels_R = np.where(known_R, classes_R, IGNORE)
        return Example(row_id, encoding, read_R=read_R, labels_R=labels_R, label_weights_R=weights_R)

    def collate(self, examples: Sequence[Example]) -> Batch:
        return replace(super().collate(examples), vectors=(self.head,))

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Computes the mean of -log p of the labels over the tokens that have one, weighted by class."""
        assert output.logits_DRV is not None and batch.labels_DR is not None, "a training batch holds labels"
        return token_loss(output.logits_DRV, batch.labels_DR, None, batch.label_weights_DR)

    def decode(self, output: ModelOutput, batch: Batch) -> list[Prediction]:
        assert output.logits_DRV is not None, "token classification wants scores of labels"
        probability_BRC = output.logits_DRV.detach().double().softmax(-1).cpu().numpy()
        lengths_B = (batch.read_DR >= 0).sum(dim=1).tolist()
        rows = zip(batch.row_ids, probability_BRC, lengths_B, strict=True)
        return [self.answer(row_id, probability_RC[:length]) for row_id, probability_RC, length in rows]

    def answer(self, row_id: object, probability_RC: np.ndarray) -> Prediction:
        """Returns the prediction for probabilities of the classes of each token.

        Args:
            row_id: name of the row.
            probability_RC: probability of each class, float [R, C].
        """
        label = self.token_labels.write(probability_RC.argmax(axis=1))
        return Prediction(row_id, label=label, token_probabilities=probability_RC.astype(np.float32))

    # Fitting

    def fit(self, rows: Sequence[Row]) -> None:
        """Computes balanced class weights, and checks that the tokens of training rows have at least two classes.

        Raises:
            TaskError: they have fewer.
        """
        super().fit(rows)
        found = [classes_R for row in rows if (classes_R := self._classes_or_none(row)) is not None]
        known_N = np.concatenate([classes_R[classes_R >= 0] for classes_R in found] or [np.zeros(0, dtype=np.int64)])
        present = np.unique(known_N)
        if len(present) < 2:
            only = self.labels.labels[present[0]] if len(present) else "no label"
            what = f"the {self.unit}s of the training rows have only {only!r} in column {self.target_column!r}"
            raise TaskError(what, hint=self._reason(rows) or "check the split")
        self.class_weights.fit(self.target_column, known_N, len(self.labels))

    def state(self) -> dict[str, Any]:
        weights = self.class_weights.state()
        stored = {"labels": list(self.labels.labels)} | ({"class_weights": weights} if weights else {})
        return super().state() | stored

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        labels = state.get("labels", self.labels.labels)
        if list(labels) != self.labels.labels:
            raise TaskError(f"the stored labels {list(labels)} are not the task's {self.labels.labels}")
        self.class_weights.load_state(state.get("class_weights", {}))

    # Judging

    def metrics(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, float]:
        """As `Task.metrics`, and `labels_not_read`: the number of labels beyond the cut of sequences, if there are any.

        These tokens have no answer, and no metric counts them.
        """
        figures = super().metrics(predictions, rows)
        unread = 0
        for prediction, row in zip(predictions, rows, strict=True):
            classes_R = None if prediction.token_probabilities is None else self._classes_or_none(row)
            if classes_R is not None and prediction.token_probabilities is not None:
                unread += int((classes_R[len(prediction.token_probabilities) :] >= 0).sum())
        return figures | ({"labels_not_read": float(unread)} if unread else {})

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        """Pairs true and predicted labels of the tokens of all rows; tokens of a row are resampled together."""
        truths, said, places = [], [], []
        for place, (prediction, row) in enumerate(zip(predictions, rows, strict=True)):
            probability_RC = prediction.token_probabilities
            classes_R = None if probability_RC is None else self._classes_or_none(row)
            if probability_RC is None or classes_R is None:
                continue
            known_R = classes_R[: len(probability_RC)] >= 0
            truths.append(classes_R[: len(probability_RC)][known_R])
            said.append(probability_RC[: len(classes_R)][known_R])
            places.append(np.full(int(known_R.sum()), place, dtype=np.int64))
        truth_N = np.concatenate([*truths, np.zeros(0, dtype=np.int64)])
        probability_NC = np.concatenate([*said, np.zeros((0, len(self.labels)), dtype=np.float32)])
        rows_N = np.concatenate([*places, np.zeros(0, dtype=np.int64)])
        answer_N = probability_NC.argmax(axis=1).astype(np.int64)
        return {self.target_column: Answers(truth_N, answer_N, probability_NC, rows_N, by_token=True)}

    def _classes_or_none(self, row: Row) -> np.ndarray | None:
        try:
            return self.classes(row)
        except MammalError:
            return None

    def _reason(self, rows: Sequence[Row]) -> str | None:
        """Why the first row can't be read; None if it can."""
        try:
            for row in rows[:1]:
                self.classes(row)
        except MammalError as error:
            return str(error)
        return None

    # Tokens

    def symbols(self, text: str) -> list[str]:
        """Returns the residues, bases or atoms of a sequence, in order.

        Args:
            text: the sequence, as the prompt shows it.

        Raises:
            UnknownTokenError: a character has no token.
        """
        return self.sequence.symbols(text, self.config.on_unknown)

    def _count(self, row: Row) -> int:
        """Number of residues, bases or atoms of a row that have a label, whether the model reads all of them or not."""
        return int(self.sequence.has_label(self.symbols(self._text(row, self.labelled))).sum())

    def _check_order_is_kept(self) -> None:
        """Refuses what would change the tokens of the sequence, because the labels would belong to others."""
        if self.labelled in self.views:
            what = f"the labels of {self.labelled} belong to the text of its cell, so it can't have views"
            raise TaskError(what, where=self.name, hint="leave views out, and name one entity, such as smiles")
        if self.labelled in self.conditions:
            raise TaskError(f"{self.labelled} has the labels, so it can't be a condition", where=self.name)
        if self.labelled in self.dna and self.config.data.window is not None:
            raise TaskError("data.window cuts the sequence that has the labels", where=self.name, hint="leave it out")
        if self.labelled in self.molecules and self.config.standardise not in _KEEPS_ATOMS:
            how = policy_words(self.config.standardise)
            what = f"standardise: {how} changes the order of the atoms, to which the labels belong"
            raise TaskError(what, where=self.name, hint="standardise: check")

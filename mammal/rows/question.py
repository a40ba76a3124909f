"""What can be asked of a table of rows: the interface of every question.

A question states which columns it reads, which columns its answers fill, and how rows are answered. The Python API
makes data frames of the answers, batch jobs make files of them.

    Question        any: columns in, columns out, `ask`
    Computed        answered without a model, all rows of a call at once
    TaskQuestion    asked of a model with the prompt of a task: predict, embed, score, generate
    Wrapped         does more with the answers of another `TaskQuestion`
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Encoder, Progress, Refused, Row

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.rows.tables import ReadColumns
    from mammal.tasks.task import Task


class UsedModel(NamedTuple):
    """A model that answers a question, and which of its parts are used; the encoder always is.

    Attributes:
        model: the model.
        decodes: the decoder is used, too.
        vocabulary: the decoder's head scores the whole vocabulary, not only the candidates of a task.
    """

    model: MammalModel
    decodes: bool = False
    vocabulary: bool = False

    @classmethod
    def for_task(cls, model: MammalModel, task: Task | None) -> UsedModel:
        """The parts that answer a task; without a task, rows are prompts and the decoder answers with any token."""
        decodes = task is None or task.mode == "decoder"
        return cls(model, decodes, vocabulary=decodes and (task is None or task.candidates_V is None))


class Question(ABC):
    """Asked of rows.

    Attributes:
        reading: columns that are read.
        columns: columns that an answer fills.
        told: options of the question that a job's manifest records.
    """

    told: Mapping[str, Any] = MappingProxyType({})
    reading: ReadColumns
    columns: Sequence[AnswerColumn]

    @property
    def uses(self) -> Sequence[UsedModel]:
        """The models that answer; a job warms them up before the first row."""
        return ()

    @abstractmethod
    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        """For each row its records (one, or several where sequences are generated), or why there is none.

        Args:
            first: position of the first of these rows in the whole table; random draws go by it.
            progress: called with the number of rows that were just answered.
        """


class Computed(Question):
    """A question that is answered without a model, all rows of a call at once."""

    @abstractmethod
    def answers(self, rows: Sequence[Row]) -> list[list[Record] | Refused]:
        """For each row its records, or why there is none."""

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        answers = self.answers(rows)
        if progress is not None:
            progress(len(rows))
        return answers


class TaskQuestion(Question):
    """Asked of a model, with one prompt for each row.

    Attributes:
        model: that answers.
        task: whose prompt is written; None: rows are prompts.
        encoder: how rows become batches.
        helpers: other questions that are asked on the way to the answer.
    """

    helpers: Sequence[Question] = ()
    model: MammalModel
    task: Task | None
    encoder: Encoder

    @property
    def uses(self) -> Sequence[UsedModel]:
        return [UsedModel.for_task(self.model, self.task), *(used for helper in self.helpers for used in helper.uses)]


class Wrapped(TaskQuestion):
    """A question that does more with what another one answers; rows are encoded for that one.

    Attributes:
        inner: the other one.
    """

    inner: TaskQuestion

    @property
    def encoder(self) -> Encoder:
        return self.inner.encoder

    @encoder.setter
    def encoder(self, encoder: Encoder) -> None:
        self.inner.encoder = encoder

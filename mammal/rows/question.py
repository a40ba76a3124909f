"""The interface of questions. A question computes answers for the rows of a table.

A question lists the columns that it reads and the columns of its answers, and answers rows with `ask`. The Python API
makes data frames of the answers, batch jobs write them to files.

    Question        base class: columns that are read, columns of the answers, `ask`
    Computed        answers without a model, all rows of a call at once
    TaskQuestion    answers with a model and the prompt of a task: predict, embed, score, generate
    EncodedAsGiven  a `TaskQuestion` whose rows can be encoded before `ask` is called: predict, embed, score
    Wrapped         processes the answers of another `TaskQuestion` further
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Encoder, Pace, Progress, Refused, Row
from mammal.rows.modality import warn_of_other_kinds

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.rows.read_columns import ReadColumns
    from mammal.tasks.task import Task


class UsedModel(NamedTuple):
    """A model that answers a question, and the parts of it that are used. The encoder is always used.

    Attributes:
        model: the model.
        decodes: whether the decoder is used, too.
        vocabulary: whether the head of the decoder scores the whole vocabulary, not only the candidates of a task.
    """

    model: MammalModel
    decodes: bool = False
    vocabulary: bool = False

    @classmethod
    def for_task(cls, model: MammalModel, task: Task | None) -> UsedModel:
        """Returns the parts of a model that are used for a task.

        Args:
            model: the model.
            task: the task. None: rows are prompts, and the decoder may answer with any token.
        """
        decodes = task is None or task.mode == "decoder"
        return cls(model, decodes, vocabulary=decodes and (task is None or task.candidates_V is None))


def _warn_of_told() -> None:
    message = "Question.told is now Question.recorded_options; the old name goes in the next version"
    warnings.warn(message, DeprecationWarning, stacklevel=3)


class Question(ABC):
    """Computes answers for the rows of a table.

    Attributes:
        reading: columns that are read.
        columns: columns of the answers.
        recorded_options: options of the question that the manifest of a job records.
    """

    recorded_options: Mapping[str, Any] = MappingProxyType({})
    reading: ReadColumns
    columns: Sequence[AnswerColumn]

    @property
    def told(self) -> Mapping[str, Any]:
        """The former name of `recorded_options`, which still works for one version."""
        _warn_of_told()
        return self.recorded_options

    @told.setter
    def told(self, options: Mapping[str, Any]) -> None:
        _warn_of_told()
        self.recorded_options = options

    @property
    def uses(self) -> Sequence[UsedModel]:
        """The models that answer. A job warms them up before the first row."""
        return ()

    def look_at(self, rows: Sequence[Row], sources: Mapping[str, str]) -> None:  # noqa: B027 - most have nothing to say
        """Logs what is strange about rows as a whole, before they are answered.

        Args:
            rows: all of them, or the first of many.
            sources: column that is read -> what the user's table calls it, where that differs.
        """

    def prepare(self, rows: Sequence[Row]) -> None:  # noqa: B027 - only processes that encode rows can begin early
        """Begins to encode rows for which `ask` is called next, if other processes can do it meanwhile.

        Args:
            rows: the rows; `ask` must be called with the same object. It may be called from another thread than `ask`.
        """

    @abstractmethod
    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        """Answers rows.

        Args:
            rows: the rows.
            first: position of the first of these rows in the whole table. Sampling depends on the position of a row.
            progress: function that is called with the number of rows that were just answered.

        Returns:
            For each row its records (one, or several if sequences are generated), or the reason why it has none.
        """


class Computed(Question):
    """A question that is answered without a model, for all rows of a call at once."""

    @abstractmethod
    def answers(self, rows: Sequence[Row]) -> list[list[Record] | Refused]:
        """Returns for each row its records, or the reason why it has none."""

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        answers = self.answers(rows)
        if progress is not None:
            progress(len(rows))
        return answers


class TaskQuestion(Question):
    """A question that is answered by a model, with one prompt for each row.

    Attributes:
        model: the model that answers.
        task: the task that writes the prompt. None: rows are prompts.
        encoder: converts rows to batches.
        helpers: other questions whose answers are needed for the answer of this one.
    """

    helpers: Sequence[Question] = ()
    model: MammalModel
    task: Task | None
    encoder: Encoder

    @property
    def encoders(self) -> Sequence[Encoder]:
        """What converts rows to batches. A job replaces it by encoders that work in other processes."""
        return [self.encoder]

    @encoders.setter
    def encoders(self, encoders: Sequence[Encoder]) -> None:
        (self.encoder,) = encoders

    def look_at(self, rows: Sequence[Row], sources: Mapping[str, str]) -> None:
        warn_of_other_kinds(self.task, rows, sources)

    @property
    def uses(self) -> Sequence[UsedModel]:
        return [UsedModel.for_task(self.model, self.task), *(used for helper in self.helpers for used in helper.uses)]


class EncodedAsGiven(TaskQuestion):
    """A question that encodes the rows as they are given, so that other processes can begin before `ask` is called.

    Attributes:
        pace: how many rows are processed together.
    """

    pace: Pace

    def prepare(self, rows: Sequence[Row]) -> None:
        self.encoder.prepare(rows, self.pace.window)


class Wrapped(TaskQuestion):
    """A question that processes the answers of another question further. Rows are encoded for the other question.

    Attributes:
        inner: the other question.
    """

    inner: TaskQuestion

    @property
    def encoder(self) -> Encoder:
        return self.inner.encoder

    @encoder.setter
    def encoder(self, encoder: Encoder) -> None:
        self.inner.encoder = encoder

    @property
    def encoders(self) -> Sequence[Encoder]:
        return self.inner.encoders

    @encoders.setter
    def encoders(self, encoders: Sequence[Encoder]) -> None:
        self.inner.encoders = encoders

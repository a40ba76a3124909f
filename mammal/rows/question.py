"""What can be asked of a table of rows: the interface of every question.

A question states which columns it reads, which columns its answers fill, and how rows are answered. The Python API
makes data frames of the answers, batch jobs make files of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mammal.rows.answer_columns import AnswerColumn
from mammal.rows.batched import Encoder, Progress, Refused, Row

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.rows.tables import ReadColumns
    from mammal.tasks.task import Task

Record = tuple[Any, ...]
"""Values of one row of the result, in the order of `Question.columns`."""


class Question(ABC):
    """Asked of rows.

    Attributes:
        model: that answers.
        task: whose prompt is written; None: rows are prompts.
        encoder: how rows become batches.
        reading: columns that are read.
        columns: columns that an answer fills.
        told: what a job's manifest records of it besides its task and options.
        helpers: what it asks the same model on its way.
    """

    helpers: Sequence[Question] = ()
    told: Mapping[str, Any] = MappingProxyType({})
    model: MammalModel
    task: Task | None
    encoder: Encoder
    reading: ReadColumns
    columns: Sequence[AnswerColumn]

    @abstractmethod
    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        """For each row its records (one, or several where sequences are generated), or why there is none.

        Args:
            first: position of the first of these rows in the whole table; random draws go by it.
        """


class Wrapped(Question):
    """A question that does more with what another one answers; rows are encoded for that one.

    Attributes:
        inner: the other one.
    """

    inner: Question

    @property
    def encoder(self) -> Encoder:
        return self.inner.encoder

    @encoder.setter
    def encoder(self, encoder: Encoder) -> None:
        self.inner.encoder = encoder

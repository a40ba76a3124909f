"""A question with the rows of one request, and its answers as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mammal.rows.answer_columns import ERROR
from mammal.rows.batched import Refused
from mammal.rows.cut_rows import FIRST, Answer, cut_message, rows_cut
from mammal.rows.question import Question
from mammal.rows.tables import Failed, RowTable

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Asked:
    """A question and the rows of one request.

    Attributes:
        question: computes the answers.
        given: the rows.
        prefix: text before the name of the column with errors.
        notes: messages about the rows.
        meanings: added column -> what its values are.
    """

    question: Question
    given: RowTable
    prefix: str = ""
    notes: Sequence[str] = ()
    meanings: Mapping[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """Name of the column with errors."""
        return f"{self.prefix}{ERROR}"


@dataclass(frozen=True)
class Answered:
    """The answers to one request.

    Attributes:
        asked: the question and its rows.
        answers: one for each row.
    """

    asked: Asked
    answers: Sequence[Answer]

    @property
    def refused(self) -> int:
        """Number of rows of the result that have an error."""
        answers = self.asked.given.answered(self.answers)
        return sum(
            1 if isinstance(one, Refused) else sum(isinstance(record, Failed) for record in one) for one in answers
        )

    @property
    def rows(self) -> int:
        """Number of rows of the result."""
        return sum(1 if isinstance(one, Refused) else len(one) for one in self.asked.given.answered(self.answers))

    @property
    def notes(self) -> list[str]:
        """Messages about the rows, with a line about those that were cut."""
        cut = rows_cut(self.answers)
        names = [*(column.name for column in self.asked.question.columns), self.asked.error]
        line = cut_message(len(cut), [place + 1 for place in cut[:FIRST]], self.asked.given.cut_name(names))
        return [*self.asked.notes, *([line] if cut else [])]

    def records(self) -> list[dict[str, Any]]:
        """The rows with their answers, as mappings of plain values."""
        asked = self.asked
        rows = asked.given.records(asked.question.columns, self.answers, asked.error)
        return [{name: plain(value) for name, value in row.items()} for row in rows]

    def frame(self) -> pd.DataFrame:
        """The rows with their answers, as `Mammal.predict` returns them, with integers next to empty cells."""
        columns = self.asked.question.columns
        frame = self.asked.given.frame(columns, self.answers, self.asked.error)
        return frame.astype({column.name: "Int64" for column in columns if column.holds == "integer"})


def plain(value: Any) -> Any:
    """Returns a value that JSON can hold: an array as a list, and None for NaN and infinity."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return [plain(item) for item in value] if isinstance(value, list) else value

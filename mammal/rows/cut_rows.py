"""Rows that are longer than a limit, so that the model reads a part of them only: how answers are marked, and reported.

Rows that differ only in the part that is not read get the same answer, so a user has to know which rows these are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

from mammal.rows.answer_columns import Record
from mammal.rows.batched import Refused

CUT = "cut"
"""Column of a result in which any row was cut: true of those rows."""
FIRST = 5
"""Rows that are named."""


class CutRecords(list[Record]):
    """Records of a row of which the model has read a part only."""


Answer: TypeAlias = "list[Record] | Refused"
"""The records of a row, or why there is none."""


def mark_cut(records: list[Record], *, cut: bool) -> list[Record]:
    """Records that say whether their row was cut."""
    return CutRecords(records) if cut else records


def rows_cut(answers: Sequence[Answer]) -> list[int]:
    """Positions of the rows that were cut."""
    return [place for place, answer in enumerate(answers) if isinstance(answer, CutRecords)]


def cut_name(taken: Collection[str], prefix: str = "") -> str:
    """What the column is called next to these: `cut`, or with another ending if there is a column of that name."""
    names = (f"{prefix}{CUT}{'_' * count}" for count in range(len(taken) + 1))
    return next(name for name in names if name not in taken)


def cut_message(count: int, first: Sequence[int], column: str | None) -> str:
    """A line about the rows that were cut.

    Args:
        count: how many there are.
        first: numbers of the first of them, counted from 1.
        column: that marks them; None: there is none.
    """
    named = ", ".join(map(str, first[:FIRST])) + (", …" if count > FIRST else "")
    marks = f" (column {column})" if column else ""
    what = "row is" if count == 1 else "rows are"
    return f"{count:,} {what} longer than the model reads and cut{marks}: row{'s' * (count > 1)} {named}"

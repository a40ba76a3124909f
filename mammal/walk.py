"""The one way from rows to answers: rows → examples → batches → model → answers.

The Python API, batch jobs and evaluation all walk it. Rows that hold the same values are computed once; rows of a
window are sorted by length and cut into batches by tokens; answers come back in the order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from mammal.tasks.batch import Batch
    from mammal.tasks.example import Example

Row = Mapping[str, Any]
T = TypeVar("T")
Progress = Callable[[int], None]
"""Called with the number of rows that were just answered."""


@dataclass(frozen=True)
class Refused:
    """A row without an answer, and why."""

    reason: str


@dataclass(frozen=True)
class Pace:
    """How much is done at once. It changes speed, memory and float noise; never what an answer says.

    Attributes:
        tokens: real tokens of a batch, encoder and decoder.
        rows: rows that a batch may hold at most.
        window: rows that are encoded, and sorted by length, together.
    """

    tokens: int = 8_192
    rows: int = 256
    window: int = 2_048


class Encoder(Protocol):
    """What the walk needs of a task: how rows become a batch."""

    def key(self, row: Row) -> Hashable:
        """Rows with equal keys have equal answers."""

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> tuple[list[Example], list[tuple[object, str]]]:
        """Examples of the rows that can be encoded, and (row id, reason) of the others."""

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Examples as one batch."""


@dataclass(frozen=True)
class TaskEncoder:
    """Rows as a task reads them.

    Attributes:
        target: also read what is to be predicted (for scoring).
    """

    task: Any
    target: bool = False

    def key(self, row: Row) -> Hashable:
        aliases = self.task.config.data.columns
        columns = [*self.task.columns, *(self.task.target_columns if self.target else ())]
        return tuple(_plain(row.get(column, row.get(aliases.get(column)))) for column in columns)

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> tuple[list[Example], list[tuple[object, str]]]:
        from mammal.tasks.batching import encode_rows

        return encode_rows(self.task, rows, row_ids, target=self.target)

    def collate(self, examples: Sequence[Example]) -> Batch:
        return self.task.collate(examples)


def walk(
    rows: Sequence[Row],
    encoder: Encoder,
    answer: Callable[[Batch], Sequence[T]],
    *,
    merge: bool = True,
    pace: Pace | None = None,
    progress: Progress | None = None,
) -> list[T | Refused]:
    """Answers every row, in order.

    Args:
        rows: the user's columns; more than the task reads are no harm.
        encoder: how rows become batches.
        answer: runs the model on a batch; one answer for each of its rows, in order.
        merge: compute rows with equal keys once.
        progress: called after each window.
    """
    pace = pace or Pace()
    first: dict[Hashable, int] = {}
    keys = (encoder.key(row) if merge else number for number, row in enumerate(rows))
    leaders = [first.setdefault(key, number) for number, key in enumerate(keys)]
    answers: dict[object, T | Refused] = {}
    for window in _windows(iter(first.values()), pace.window):
        answers.update(_answer_window(rows, window, encoder, answer, pace))
        if progress is not None:
            progress(len(window))
    if progress is not None and len(first) < len(rows):
        progress(len(rows) - len(first))
    return [answers[leader] for leader in leaders]


def _answer_window(
    rows: Sequence[Row],
    window: Sequence[int],
    encoder: Encoder,
    answer: Callable[[Batch], Sequence[T]],
    pace: Pace,
) -> Iterator[tuple[object, T | Refused]]:
    from mammal.tasks.batching import token_batches

    examples, errors = encoder.encode([rows[number] for number in window], window)
    for row_id, reason in errors:
        yield row_id, Refused(reason)
    lengths = [example.tokens for example in examples]
    for chosen in token_batches(lengths, pace.tokens, max_rows=pace.rows, window=pace.window):
        batch = encoder.collate([examples[i] for i in chosen])
        for i, given in zip(chosen, answer(batch), strict=True):
            yield examples[i].row_id, given


def _windows(numbers: Iterator[int], size: int) -> Iterator[list[int]]:
    while window := list(islice(numbers, size)):
        yield window


def _plain(value: Any) -> Hashable:
    """A cell as something that can be compared: text as it is, arrays by content, the rest by type and spelling."""
    if isinstance(value, str):
        return value
    content = value.tobytes() if hasattr(value, "tobytes") else repr(value)
    return type(value).__name__, getattr(value, "shape", None), content

"""The one way from rows to answers: rows → examples → batches → model → answers.

The Python API, batch jobs and evaluation all walk it. Rows that hold the same values are computed once; rows of a
window are sorted by length and cut into batches by tokens; answers come back in the order of the rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from mammal.tasks.batches.batch import Batch
    from mammal.tasks.batches.example import Example

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

    @classmethod
    def of_device(cls, kind: str) -> Pace:
        """The default for a kind of device ("cpu", "cuda"): a GPU is kept busy by larger batches."""
        return cls(tokens=131_072, rows=2_048, window=4_096) if kind == "cuda" else cls()


Encoded = tuple[list["Example"], list[tuple[object, str]]]
"""Examples of the rows that can be encoded, and (row id, reason) of the others."""


class Encoder(ABC):
    """How rows become batches."""

    @abstractmethod
    def key(self, row: Row) -> Hashable:
        """Rows with equal keys have equal answers."""

    @abstractmethod
    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        """Rows by the names that `row_ids` gives them."""

    @abstractmethod
    def collate(self, examples: Sequence[Example]) -> Batch:
        """Examples as one batch."""

    def encode_windows(self, rows: Sequence[Row], windows: Iterable[Sequence[int]]) -> Iterator[Encoded]:
        """Parts of the rows, each given by the positions of its rows, in turn."""
        for window in windows:
            yield self.encode([rows[number] for number in window], window)


@dataclass(frozen=True)
class TaskEncoder(Encoder):
    """Rows as a task reads them.

    Attributes:
        target: also read what is to be predicted (for scoring).
        absent: write no condition, as guidance compares with.
    """

    task: Any
    target: bool = False
    absent: bool = False

    def key(self, row: Row) -> Hashable:
        aliases = self.task.aliases
        columns = [*self.task.columns, *self.task.beside, *(self.task.target_columns if self.target else ())]
        return tuple(_plain(row.get(column, row.get(aliases.get(column), ...))) for column in columns)

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        from mammal.tasks.batches.token_batches import encode_rows

        return encode_rows(self.task, rows, row_ids, target=self.target, withheld=self.absent)

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
    windows = list(_windows(iter(first.values()), pace.window))
    answers: dict[object, T | Refused] = {}
    for window, (examples, errors) in zip(windows, encoder.encode_windows(rows, windows), strict=True):
        answers.update((row_id, Refused(reason)) for row_id, reason in errors)
        answers.update(_answer_all(examples, encoder, answer, pace))
        if progress is not None:
            progress(len(window))
    if progress is not None and len(first) < len(rows):
        progress(len(rows) - len(first))
    return [answers[leader] for leader in leaders]


def _answer_all(
    examples: Sequence[Example], encoder: Encoder, answer: Callable[[Batch], Sequence[T]], pace: Pace
) -> Iterator[tuple[object, T]]:
    from mammal.tasks.batches.token_batches import token_batches

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

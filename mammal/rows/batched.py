"""Computes answers for rows: rows → examples → batches → model → answers.

The Python API, batch jobs and evaluation all use `walk`. Rows with equal values are computed once. The rows of a window
are sorted by length and divided into batches by their number of tokens. Answers are returned in the order of the rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mammal.errors import MammalError

if TYPE_CHECKING:
    from mammal.tasks.batches.batch import Batch
    from mammal.tasks.batches.example import Example
    from mammal.tasks.batches.row_examples import KnownInputs

Row = Mapping[str, Any]
T = TypeVar("T")
Progress = Callable[[int], None]
"""Function that is called with the number of rows that were just answered."""


@dataclass(frozen=True)
class Refused:
    """Takes the place of the answer of a row that has none.

    Attributes:
        reason: why there is no answer.
    """

    reason: str


@dataclass(frozen=True)
class Pace:
    """How many rows are processed together. This changes speed, memory and float noise, but not the results.

    Attributes:
        tokens: maximum number of tokens of a batch, encoder and decoder together, padding not counted.
        rows: maximum number of rows of a batch.
        window: rows that are encoded and sorted by length together.
    """

    tokens: int = 8_192
    rows: int = 256
    window: int = 2_048

    @classmethod
    def of_device(cls, kind: str) -> Pace:
        """Returns the default for a kind of device ("cpu", "cuda"). A GPU gets larger batches, which keep it busy."""
        return cls(tokens=131_072, rows=2_048, window=4_096) if kind == "cuda" else cls()


Encoded = tuple[list["Example"], list[tuple[object, str]]]
"""Examples of the rows that can be encoded, and (row id, reason) for each of the other rows."""


NumberedBatch = tuple[list[int], "Batch"]
"""The positions of rows, and the batch of these rows."""


class Encoder(ABC):
    """Converts rows to examples, and examples to batches."""

    @abstractmethod
    def key(self, row: Row) -> Hashable:
        """Returns a key of the row. Rows with equal keys have equal answers."""

    @abstractmethod
    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        """Encodes rows.

        Args:
            rows: the rows.
            row_ids: id of each row, which its example or its error gets.
        """

    @abstractmethod
    def collate(self, examples: Sequence[Example]) -> Batch:
        """Returns one batch with these examples."""

    def prepare(self, rows: Sequence[Row], window: int) -> None:  # noqa: B027 - one process encodes when it must
        """Announces the rows of the next call of `encode_windows`, so that other processes can begin with them.

        Args:
            rows: the rows; the same object is given to `encode_windows`.
            window: rows that are encoded together.
        """

    def encode_windows(self, rows: Sequence[Row], windows: Iterable[Sequence[int]]) -> Iterator[Encoded]:
        """Encodes parts of the rows, one after the other.

        Args:
            rows: all rows.
            windows: for each part, the positions of its rows. They are also the ids of the rows.
        """
        for window in windows:
            yield self.encode([rows[number] for number in window], window)


def encode_each(make: Callable[[Any, int], Example], values: Iterable[Any], row_ids: Sequence[int]) -> Encoded:
    """Encodes rows one after the other; a row that can't be encoded gets the reason.

    Args:
        make: makes the example of a value and the id of its row, or raises a `MammalError`.
        values: what is encoded, one for each row.
        row_ids: id of each row.
    """
    examples: list[Example] = []
    errors: list[tuple[object, str]] = []
    for value, row_id in zip(values, row_ids, strict=True):
        try:
            examples.append(make(value, row_id))
        except MammalError as error:
            errors.append((row_id, str(error)))
    return examples, errors


@dataclass(frozen=True)
class TaskEncoder(Encoder):
    """Encodes rows with the prompt of a task.

    Attributes:
        task: the task.
        target: also read the target (for scoring).
        absent: leave all conditions out of the prompt. Guidance compares with such a prompt.
        near: also compute what is compared with training rows, if the task keeps any: fingerprints of molecules.
    """

    task: Any
    target: bool = False
    absent: bool = False
    near: bool = False

    def key(self, row: Row) -> Hashable:
        return tuple([_plain(row.get(column, row.get(alias, ...))) for column, alias in self.read])

    @cached_property
    def read(self) -> list[tuple[str, Any]]:
        """Each column that is read, with its other name."""
        columns = [*self.task.columns, *self.task.beside, *(self.task.target_columns if self.target else ())]
        return [(column, self.task.aliases.get(column)) for column in columns]

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        return self.encode_with(rows, row_ids, None)

    def encode_with(self, rows: Sequence[Row], row_ids: Sequence[int], inputs: KnownInputs | None) -> Encoded:
        """Encodes rows as `encode` does, and uses prompts that are encoded already.

        Args:
            rows: the rows.
            row_ids: id of each row, which its example or its error gets.
            inputs: prompts that encoders of other tasks have encoded, as for `Task.encode_prepared`. None: none.
        """
        from mammal.tasks.batches.token_batches import encode_rows

        kept = self.task.training_rows
        how: dict[str, Any] = {"target": self.target, "withheld": self.absent, "inputs": inputs}
        if not self.near or kept is None or kept.kept.column is None:
            return encode_rows(self.task, rows, row_ids, **how)
        from mammal.tasks.applicability.fingerprints import row_fingerprint, with_fingerprints

        column = kept.kept.column  # before prompts are written, so that molecules are parsed once
        bits: dict[object, Any] = {
            row_id: row_fingerprint(self.task, row, column) for row_id, row in zip(row_ids, rows, strict=True)
        }
        examples, errors = encode_rows(self.task, rows, row_ids, **how)
        return with_fingerprints(examples, bits), errors

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
    cut: set[int] | None = None,
) -> list[T | Refused]:
    """Answers every row, in order.

    Args:
        rows: one mapping from columns to values per row. Columns that the encoder does not read are ignored.
        encoder: converts rows to batches.
        answer: runs the model on a batch and returns one answer for each of its rows, in order.
        merge: compute rows with equal keys once.
        pace: how many rows are processed together. Default: that of a CPU.
        progress: function that is called after each batch, with the number of rows that have an answer since then.
        cut: gets the positions of rows of which the model reads a part only, because they are longer than a limit.

    Returns:
        For each row its answer, or the reason why it has none.
    """

    def work(batches: Iterator[NumberedBatch], put: Callable[[Mapping[int, T]], None]) -> None:
        for numbers, batch in batches:
            put(dict(zip(numbers, answer(batch), strict=True)))

    return walk_through(rows, encoder, work, merge=merge, pace=pace, progress=progress, cut=cut)


def walk_through(
    rows: Sequence[Row],
    encoder: Encoder,
    work: Callable[[Iterator[NumberedBatch], Callable[[Mapping[int, T]], None]], None],
    *,
    merge: bool = True,
    pace: Pace | None = None,
    progress: Progress | None = None,
    cut: set[int] | None = None,
) -> list[T | Refused]:
    """Answers every row as `walk` does, with a function that reads the batches when it needs them.

    Args:
        rows: as for `walk`.
        encoder: as for `walk`.
        work: gets the batches one by one, each with the positions of its rows, and a function that takes answers by
            position of the row. Each row of each batch needs one answer, at any time.
        merge: as for `walk`.
        pace: as for `walk`.
        progress: as for `walk`.
        cut: as for `walk`.
    """
    pace = pace or Pace()
    first: dict[Hashable, int] = {}
    keys = (encoder.key(row) if merge else number for number, row in enumerate(rows))
    leaders = [first.setdefault(key, number) for number, key in enumerate(keys)]
    windows = list(_windows(iter(first.values()), pace.window))
    answers: dict[int, T | Refused] = {}
    shortened: set[object] = set()

    def put(given: Mapping[int, T | Refused]) -> None:
        answers.update(given)
        if progress is not None and given:
            progress(len(given))

    def batches() -> Iterator[NumberedBatch]:
        for examples, errors in encoder.encode_windows(rows, windows):
            put({cast(int, row_id): Refused(reason) for row_id, reason in errors})
            shortened.update(example.row_id for example in examples if example.is_cut)
            yield from _batches(examples, encoder, pace)

    work(batches(), put)
    if progress is not None and len(first) < len(rows):
        progress(len(rows) - len(first))
    if cut is not None and shortened:
        cut.update(number for number, leader in enumerate(leaders) if leader in shortened)
    return [answers[leader] for leader in leaders]


def _batches(examples: Sequence[Example], encoder: Encoder, pace: Pace) -> Iterator[NumberedBatch]:
    from mammal.tasks.batches.token_batches import token_batches

    lengths = [example.tokens for example in examples]
    # The longest rows first, so that later batches fit into the memory that earlier ones have used.
    for chosen in reversed(token_batches(lengths, pace.tokens, max_rows=pace.rows, window=pace.window)):
        batch = encoder.collate([examples[i] for i in chosen])
        yield [cast(int, examples[i].row_id) for i in chosen], batch


def first_window(rows: Sequence[Row], encoder: Encoder, size: int) -> list[int]:
    """Returns the positions of the rows that `walk` encodes first: those with different keys.

    Args:
        rows: the rows.
        encoder: gives the keys.
        size: rows that are encoded together.
    """
    seen: set[Hashable] = set()
    window: list[int] = []
    for number, row in enumerate(rows):
        if (key := encoder.key(row)) not in seen:
            seen.add(key)
            window.append(number)
            if len(window) == size:
                break
    return window


def _windows(numbers: Iterator[int], size: int) -> Iterator[list[int]]:
    while window := list(islice(numbers, size)):
        yield window


def _plain(value: Any) -> Hashable:
    """Returns a hashable form of a cell: text unchanged, an array by its content, other values by type and `repr`."""
    if isinstance(value, str):
        return value
    content = value.tobytes() if hasattr(value, "tobytes") else repr(value)
    return type(value).__name__, getattr(value, "shape", None), content

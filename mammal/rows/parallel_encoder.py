"""Encodes rows in other processes, one window ahead of the model.

Standardising a molecule and encoding its prompt takes about as long as running a tiny model on one core. A GPU would
have to wait for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from mammal.rows.batched import Encoded, Encoder, Row, first_window
from mammal.rows.worker_pool import WorkerPool
from mammal.tasks.molecules.chemistry import forget_molecules

if TYPE_CHECKING:
    from types import TracebackType

    from mammal.tasks.batches.batch import Batch
    from mammal.tasks.batches.example import Example

REMEMBERED = 20_000
"""Rows after which a worker forgets the molecules that it has read, so that its memory does not grow."""

_PIECES = 4
"""Parts of a window for each worker. With several parts, all workers finish at about the same time."""


class ParallelEncoder(Encoder):
    """Encodes rows in worker processes. Batches are made in the current process.

    The examples are the same, and in the same order, as without workers. A worker that dies is replaced.

    Args:
        encoder: encodes the rows, in each worker.
        workers: number of processes.
        shared: processes that were started with several encoders, and which of them this one is. None: processes of
            its own.
    """

    def __init__(self, encoder: Encoder, workers: int, shared: tuple[WorkerPool, int] | None = None):
        self._encoder, self._workers = encoder, workers
        self._pool, self._place = shared or (WorkerPool(workers, _take, ((encoder,),)), 0)
        self._announced: _Begun | None = None
        self._begun: _Begun | None = None

    def __enter__(self) -> ParallelEncoder:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.close(wait=False)

    def key(self, row: Row) -> Hashable:
        return self._encoder.key(row)

    def collate(self, examples: Sequence[Example]) -> Batch:
        return self._encoder.collate(examples)

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        return self._encoder.encode(rows, row_ids)

    def prepare(self, rows: Sequence[Row], window: int) -> None:
        self._announced = _Begun(rows, first_window(rows, self._encoder, window))

    def encode_windows(self, rows: Sequence[Row], windows: Iterable[Sequence[int]]) -> Iterator[Encoded]:
        """Encodes parts of the rows, one window ahead. After the last part, the first one of the rows that `prepare`
        announced follows, so that the model need not wait between two calls."""
        waiting: deque[list[Future[Encoded]]] = deque()
        begun, self._begun = self._begun, None
        for window in windows:
            early = begun is not None and begun.rows is rows and list(begun.window) == list(window)
            waiting.append(begun.pieces if begun is not None and early else self._submit(rows, window))
            if len(waiting) > 1:
                yield _gather(waiting.popleft())
        announced, self._announced = self._announced, None
        if announced is not None and announced.rows is not rows:
            self._begun = announced._replace(pieces=self._submit(announced.rows, announced.window))
        while waiting:
            yield _gather(waiting.popleft())

    def _submit(self, rows: Sequence[Row], window: Sequence[int]) -> list[Future[Encoded]]:
        size = -(-len(window) // (self._workers * _PIECES))
        pieces = [window[start : start + size] for start in range(0, len(window), size)]
        return [self._pool.submit(_encode, self._place, [rows[number] for number in piece], piece) for piece in pieces]


@contextmanager
def parallel_encoders(encoders: Sequence[Encoder], workers: int) -> Iterator[list[ParallelEncoder]]:
    """Makes encoders that share worker processes.

    Args:
        encoders: what encodes rows, in each worker.
        workers: number of processes.
    """
    pool = WorkerPool(workers, _take, (tuple(encoders),))
    try:
        yield [ParallelEncoder(encoder, workers, (pool, place)) for place, encoder in enumerate(encoders)]
    finally:
        pool.close(wait=False)


class _Begun(NamedTuple):
    """The first window of rows that are asked about next."""

    rows: Sequence[Row]
    window: Sequence[int]
    pieces: list[Future[Encoded]] = []  # noqa: RUF012 - replaced, never changed


def _gather(pieces: Sequence[Future[Encoded]]) -> Encoded:
    examples: list[Example] = []
    errors: list[tuple[object, str]] = []
    for piece in pieces:
        found, refused = piece.result()
        examples += found
        errors += refused
    return examples, errors


_taken: list[Encoder] = []
"""In a worker process: the encoders that the process was started with. Empty in every other process.

A global is needed because the functions that a process pool calls can't get the arguments of the initializer in another
way. Otherwise the encoders would have to be sent with every piece of a window.
"""


_remembered = 0
"""In a worker process: number of rows since molecules were last forgotten."""


def _take(encoders: Sequence[Encoder]) -> None:
    import torch

    torch.set_num_threads(1)
    _taken[:] = encoders


def _encode(place: int, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
    global _remembered
    _remembered += len(rows)
    if _remembered > REMEMBERED:
        _remembered = len(rows)
        forget_molecules()
    return _taken[place].encode(rows, row_ids)

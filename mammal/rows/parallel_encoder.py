"""Encodes rows in other processes, one window ahead of the model.

Standardising a molecule and encoding its prompt takes about as long as running a tiny model on one core. A GPU would
have to wait for it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from mammal.errors import JobError
from mammal.rows.batched import Encoded, Encoder, Row, first_window
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

    The examples are the same, and in the same order, as without workers.

    Args:
        encoder: encodes the rows, in each worker.
        workers: number of processes.
    """

    def __init__(self, encoder: Encoder, workers: int):
        self._encoder, self._workers = encoder, workers
        context = get_context("spawn")  # a forked child would inherit the locks of torch's threads
        self._pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_take, initargs=(encoder,))
        self._announced: _Begun | None = None
        self._begun: _Begun | None = None
        for _ in range(workers):  # the processes start now, while the model is warmed up
            self._pool.submit(int)

    def __enter__(self) -> ParallelEncoder:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(wait=error is None, cancel_futures=True)

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
        with _as_job_error():
            return [self._pool.submit(_encode, [rows[number] for number in piece], piece) for piece in pieces]


class _Begun(NamedTuple):
    """The first window of rows that are asked about next."""

    rows: Sequence[Row]
    window: Sequence[int]
    pieces: list[Future[Encoded]] = []  # noqa: RUF012 - replaced, never changed


def _gather(pieces: Sequence[Future[Encoded]]) -> Encoded:
    examples: list[Example] = []
    errors: list[tuple[object, str]] = []
    for piece in pieces:
        with _as_job_error():
            found, refused = piece.result()
        examples += found
        errors += refused
    return examples, errors


@contextmanager
def _as_job_error() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        hint = "too little memory? Run the same command again, which continues, with fewer workers or workers=0"
        raise JobError("a process that prepared rows died", hint=hint) from error


_taken: list[Encoder] = []
"""In a worker process: the encoder that the process was started with. Empty in every other process.

A global is needed because the functions that a process pool calls can't get the arguments of the initializer in another
way. Otherwise the encoder would have to be sent with every piece of a window.
"""


_remembered = 0
"""In a worker process: number of rows since molecules were last forgotten."""


def _take(encoder: Encoder) -> None:
    import torch

    torch.set_num_threads(1)
    _taken[:] = [encoder]
    Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """Ends this process when its parent process has ended. A parent that is killed can't stop its workers."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _encode(rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
    global _remembered
    _remembered += len(rows)
    if _remembered > REMEMBERED:
        _remembered = len(rows)
        forget_molecules()
    return _taken[0].encode(rows, row_ids)

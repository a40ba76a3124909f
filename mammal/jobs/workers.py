"""Several processes that do the same for each of many items, or this process alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from threading import Thread
from types import TracebackType
from typing import Any, Self

from mammal.errors import JobError
from mammal.rows.parallel_encoder import end_with_parent

CHUNK = 16
"""Items that go to a process at once: few, for one slow molecule keeps the others of its chunk waiting."""


class Crew:
    """Does what `map` does, results in order. Processes are started by the first call, and end with the block.

    Args:
        workers: processes; 0: none but this one.
    """

    def __init__(self, workers: int):
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=error is None, cancel_futures=True)

    def each_of(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """`work` of each item; a function at the top of a module, for it travels by name.

        Raises:
            JobError: a process died.
        """
        if not self._workers:
            return map(work, items)
        if self._pool is None:
            context = get_context("spawn")  # a forked child would inherit the locks of this one's threads
            self._pool = ProcessPoolExecutor(self._workers, mp_context=context, initializer=_begin)
        return _told(self._pool.map(work, items, chunksize=CHUNK))


def _told(results: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from results
    except BrokenProcessPool as error:
        raise JobError("a process that worked on molecules died", hint="too little memory? try workers=0") from error


def _begin() -> None:
    Thread(target=end_with_parent, daemon=True).start()

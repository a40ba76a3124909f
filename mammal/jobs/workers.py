"""Applies a function to many items, in several processes or in the current one."""

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
"""Items that are sent to a process at once. Few, because one slow molecule delays the others of its chunk."""


class Workers:
    """Worker processes that apply a function to items, like `map`. They start with the first call of `each_of`.

    The processes end with the `with` block.

    Args:
        workers: number of processes. 0: the current process does the work.
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
        """Returns the result of `work` for each item, in order.

        Args:
            work: function of one item. It must be defined at the top level of a module, because processes receive it
                by name.
            items: the items.

        Raises:
            JobError: a process died.
        """
        if not self._workers:
            return map(work, items)
        if self._pool is None:
            context = get_context("spawn")  # a forked child would inherit the locks of this one's threads
            self._pool = ProcessPoolExecutor(self._workers, mp_context=context, initializer=_begin)
        return _or_job_error(self._pool.map(work, items, chunksize=CHUNK))


def _or_job_error(results: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from results
    except BrokenProcessPool as error:
        raise JobError("a process that worked on molecules died", hint="too little memory? try workers=0") from error


def _begin() -> None:
    Thread(target=end_with_parent, daemon=True).start()

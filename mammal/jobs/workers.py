"""Applies a function to many items, in several processes or in the current one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from types import TracebackType
from typing import Any, Self

from mammal.rows.worker_pool import WorkerPool

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
        self._pool: WorkerPool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.close(wait=False)

    def each_of(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """Returns the result of `work` for each item, in order.

        Args:
            work: function of one item. It must be defined at the top level of a module, because processes receive it
                by name.
            items: the items.

        Raises:
            JobError: processes died with the same items.
        """
        if not self._workers:
            return map(work, items)
        if self._pool is None:
            self._pool = WorkerPool(self._workers)
        chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
        waiting = [self._pool.submit(_each, work, chunk) for chunk in chunks]
        return chain.from_iterable(future.result() for future in waiting)


def _each(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    return [work(item) for item in items]

"""Applies a function to a stream of items in several processes, without keeping the whole stream in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")


def results_in_order(
    work: Callable[[Item], Result],
    items: Iterable[tuple[Key, Item]],
    workers: int,
    begin: Callable[[], None] | None = None,
) -> Iterator[tuple[Key, Result]]:
    """Yields the key and the result of each item, in order.

    At most two items for each worker wait while the next one is read.

    Args:
        work: function of one item; processes receive it by name.
        items: key and item. The keys stay in this process.
        workers: number of processes; 0: this process does the work.
        begin: called once in each process before its first item. None: nothing is called.
    """
    if not workers:
        if begin is not None:
            begin()
        for key, item in items:
            yield key, work(item)
        return
    pool = ProcessPoolExecutor(workers, initializer=begin)
    waiting: deque[tuple[Key, Future[Result]]] = deque()
    try:
        for key, item in items:
            waiting.append((key, pool.submit(work, item)))
            if len(waiting) > 2 * workers:
                first, result = waiting.popleft()
                yield first, result.result()
        while waiting:
            first, result = waiting.popleft()
            yield first, result.result()
    finally:
        pool.shutdown(cancel_futures=True)

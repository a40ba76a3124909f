"""Reading and writing next to the model: the next shard is read, and the last one written, while one is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
_END: Any = object()


def read_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yields the same items. A thread computes the next one while the caller works on the current one.

    Args:
        items: the items. Only this thread uses the iterator.
    """
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        waiting = thread.submit(next, items, _END)
        while (item := waiting.result()) is not _END:
            waiting = thread.submit(next, items, _END)
            yield item


class InOrder(AbstractContextManager["InOrder"]):
    """Runs tasks in a thread, in order. If one fails, no later one is begun.

    The `with` block ends when all tasks are done, also after an error.

    Args:
        behind: number of tasks that may be unfinished when `submit` returns. 0: the caller waits for each task.
    """

    def __init__(self, behind: int = 1):
        self._behind = behind
        self._thread = ThreadPoolExecutor(1, "in-order")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None:
                self._wait(0)
        finally:
            self._thread.shutdown(wait=True)

    def submit(self, work: Callable[[], None]) -> None:
        """Adds a task.

        Args:
            work: the task.

        Raises:
            BaseException: what an earlier task raised.
        """
        self._wait(max(0, self._behind - 1))
        self._waiting.append(self._thread.submit(work))
        self._wait(self._behind)

    def _wait(self, left: int) -> None:
        while len(self._waiting) > left:
            self._waiting.popleft().result()

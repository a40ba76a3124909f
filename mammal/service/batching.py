"""The thread that runs the model. Rows of several requests with the same question go to the model in one batch.

An answer does not depend on the rows that are answered together with it, so any rows can share a batch. The thread
takes the oldest request, waits some milliseconds for others with the same question, and takes rows of all of them up to
a budget. A request with more rows goes on in later batches, so that small requests do not wait for the whole of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Any

from mammal.explanation.question import Explain
from mammal.generation.question import Generate
from mammal.rows.batched import Row
from mammal.rows.cut_rows import Answer
from mammal.rows.question import Question, Wrapped
from mammal.service.notes import collected_notes

PROMPT_CHARACTERS = 24
"""Characters that count for each row in addition to its cells, for the tags of its prompt."""
EXPLAINED = 64
"""How many times the characters of a row count if it is explained: 32 passes, each with a backward pass."""


@dataclass(eq=False)
class Work:
    """The rows of one request, and what is known about them.

    Attributes:
        question: answers the rows. Requests with the same object can share a batch.
        rows: the rows.
        costs: what each row counts towards the budget of a batch.
        loop: the event loop that waits for the answers.
        done: gets the answers, one for each row.
        answers: those that exist so far.
        taken: number of rows that are answered or in a batch.
        cancelled: nobody waits for the answers any more.
        arrived: time at which it was put into the queue, in seconds.
        cost_left: cost of the rows that were not taken yet.
    """

    question: Question
    rows: Sequence[Row]
    costs: Sequence[int]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[list[Answer]]
    answers: list[Answer] = field(default_factory=list)
    taken: int = 0
    cancelled: bool = False
    arrived: float = field(default_factory=time.monotonic)
    cost_left: int = 0

    def __post_init__(self) -> None:
        self.cost_left = sum(self.costs)

    @property
    def whole(self) -> bool:
        """Whether its rows can neither be divided nor answered with others, because a position decides an answer."""
        return not _free(self.question)

    @property
    def left(self) -> int:
        """Number of rows that were not taken yet."""
        return len(self.rows) - self.taken

    def finish(self, error: BaseException | None = None) -> None:
        """Hands over the answers, or an error."""

        def hand_over() -> None:
            if self.done.done():
                return
            if error is None:
                self.done.set_result(self.answers)
            else:
                self.done.set_exception(error)

        self.loop.call_soon_threadsafe(hand_over)


def _free(question: Question) -> bool:
    """Whether rows can be answered in any company: their answers don't depend on their position in one call."""
    if isinstance(question, Generate | Explain):
        return True  # positions are given one by one
    if isinstance(question, Wrapped):
        return not isinstance(question.inner, Generate) and _free(question.inner)
    task = getattr(question, "task", None)
    generation = getattr(getattr(task, "config", None), "generation", None)
    return task is None or getattr(task, "family", "") != "generation" or not getattr(generation, "do_sample", False)


@dataclass(frozen=True)
class Part:
    """Rows of one request that are in a batch: those from `start` to `end`."""

    work: Work
    start: int
    end: int


class _AbandonedError(BaseException):
    """Nobody waits for the batch that the model is working on. No `except Exception` on the way must stop it."""


Observe = Callable[[int, int, float], None]
"""Function that is called after each batch with its number of requests and of rows, and its seconds."""


class ModelThread:
    """Runs one function first (it loads the model), then answers rows.

    Args:
        budget: most characters of the rows of a batch.
        wait: seconds that the first request of a batch waits for others.
        observe: is called after each batch. Default: nothing is called.
    """

    def __init__(self, budget: int, wait: float, observe: Observe | None = None):
        self.budget, self.wait, self.observe = budget, wait, observe
        self._queue: deque[Work] = deque()
        self._changed = Condition()
        self._stopping = False
        self._current: list[Work] = []
        self._thread: Thread | None = None

    def start(self, first: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
        """Starts the thread.

        Args:
            first: is called in the thread before any row is answered.
            failed: is called in the thread with the error, if `first` raises one. The thread then ends.
        """

        def run() -> None:
            try:
                first()
            except BaseException as error:
                failed(error)
                return
            self._run()

        self._thread = Thread(target=run, name="model", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answers what is in the queue, then ends the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    async def ask(self, question: Question, rows: Sequence[Row], costs: Sequence[int]) -> list[Answer]:
        """Answers rows in the thread. If the caller is cancelled, its rows leave the queue, or the batch they are in.

        Args:
            question: the question. The same object lets requests share batches.
            rows: the rows.
            costs: what each row counts towards the budget of a batch.

        Raises:
            MammalError: the question can't be answered.
        """
        if not rows:
            return []
        loop = asyncio.get_running_loop()
        work = Work(question, rows, costs, loop, loop.create_future())
        with self._changed:
            self._queue.append(work)
            self._changed.notify_all()
        try:
            return await work.done
        finally:
            if len(work.answers) < len(rows):
                work.cancelled = True  # also after an error or a time limit
                with self._changed:
                    if work in self._queue:
                        self._queue.remove(work)

    def stop_if_abandoned(self) -> None:
        """Ends the batch that the model works on, if nobody waits for it. It is called between two steps."""
        if self._current and all(work.cancelled for work in self._current):
            raise _AbandonedError

    def _run(self) -> None:
        while (parts := self._next_batch()) is not None:
            self._current = [part.work for part in parts]
            start = time.monotonic()
            try:
                self._answer(parts)
            except _AbandonedError:
                continue
            finally:
                self._current = []
            if self.observe is not None and parts:
                rows = sum(part.end - part.start for part in parts)
                self.observe(len(parts), rows, time.monotonic() - start)

    def _next_batch(self) -> list[Part] | None:
        """Waits for rows. None: the thread ends. No parts: the request that was waited for is gone."""
        with self._changed:
            while not self._queue:
                if self._stopping:
                    return None
                self._changed.wait()
            deadline = self._queue[0].arrived + self.wait
            while self._queue and not self._stopping and not self._is_full():
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return self._take() if self._queue else []

    def _group(self) -> list[Work]:
        first = self._queue[0]
        if first.whole:
            return [first]
        return [work for work in self._queue if work.question is first.question]

    def _is_full(self) -> bool:
        return self._queue[0].whole or sum(work.cost_left for work in self._group()) >= self.budget

    def _take(self) -> list[Part]:
        """Takes rows of the oldest request and of others with its question, an equal share of the budget of each."""
        group = self._group()
        starts = {id(work): work.taken for work in group}
        spent = 0
        for work in group:
            if spent and spent + work.costs[work.taken] > self.budget:
                continue
            spent += self._take_rows(work, self.budget // len(group))
        for work in group:  # what small requests left over
            if work.taken > starts[id(work)] and work.left and spent < self.budget:
                spent += self._take_rows(work, self.budget - spent, at_least=0)
        parts = [Part(work, starts[id(work)], work.taken) for work in group if work.taken > starts[id(work)]]
        for part in parts:
            self._queue.remove(part.work)
            if part.work.left:
                self._queue.append(part.work)
        return parts

    def _take_rows(self, work: Work, share: int, at_least: int = 1) -> int:
        spent = count = 0
        while work.left and (work.whole or count < at_least or spent + work.costs[work.taken] <= share):
            spent += work.costs[work.taken]
            work.taken += 1
            count += 1
        work.cost_left -= spent
        return spent

    def _answer(self, parts: Sequence[Part]) -> None:
        parts = [part for part in parts if not part.work.cancelled and part.end > part.start]
        if not parts:
            return
        try:
            answers = self._asked(parts)
        except Exception as error:  # the thread goes on, whatever a batch does
            if len(parts) == 1:
                parts[0].work.finish(error)
                return
            for part in parts:  # one request must not spoil another
                self._answer([part])
            return
        place = 0
        for part in parts:
            count = part.end - part.start
            part.work.answers += answers[place : place + count]
            place += count
            if len(part.work.answers) == len(part.work.rows):
                part.work.finish()

    def _asked(self, parts: Sequence[Part]) -> list[Answer]:
        question = parts[0].work.question
        rows = [row for part in parts for row in part.work.rows[part.start : part.end]]
        how: dict[str, Any] = {"progress": lambda _: self.stop_if_abandoned()}
        with collected_notes():
            if isinstance(question, Generate | Explain):
                positions = [place for part in parts for place in range(part.start, part.end)]
                return question.ask_at(rows, positions, **how)
            return question.ask(rows, first=parts[0].start, **how)

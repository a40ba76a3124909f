"""One request from its fields to its answer: limits, the question, the thread of the model, the table.

The event loop never waits for the model. Large requests are read and written in threads, too.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from mammal.errors import MammalError
from mammal.explanation.question import Explain
from mammal.inference.from_names import FromNames
from mammal.rows.batched import Row
from mammal.rows.cut_rows import Answer
from mammal.rows.question import Computed, Question
from mammal.service.answered import Answered, Asked
from mammal.service.asking import Questions, size_of
from mammal.service.batching import EXPLAINED, PROMPT_CHARACTERS, ModelThread
from mammal.service.interruptible import interruptible
from mammal.service.known_names import read_ahead
from mammal.service.limits import BusyError, Limits, NotReadyError, RefusedRequestError, TimedOutError, TooLargeError
from mammal.service.metrics import Metrics
from mammal.service.notes import collected_notes
from mammal.service.served_tasks import ServedTask, served_task

if TYPE_CHECKING:
    from mammal.inference.api import Mammal

logger = logging.getLogger(__name__)

INLINE = 4_000
"""Characters of a request up to which the event loop reads it itself. A thread would take longer to start."""
PIECE = 64
"""Molecules after which it is checked whether anybody waits for their properties or names."""
THREADS = 4
_Result = TypeVar("_Result")


class Service:
    """A model that answers requests.

    Args:
        open_model: returns the model. It is called in the thread of the model.
        limits: what a request may ask for.
        on_ready: is called when the model is loaded and warm. Default: nothing is called.
    """

    def __init__(
        self,
        open_model: Callable[[], Mammal],
        limits: Limits | None = None,
        on_ready: Callable[[], None] | None = None,
    ):
        self.limits = limits or Limits()
        self.metrics = Metrics(lambda: self.waiting)
        self.accepted = self.answered = self.waiting = 0
        self.tasks: dict[str, ServedTask] = {}
        self.examples: dict[str, dict[str, Any]] = {}
        self.failure: BaseException | None = None
        self._hooks = ExitStack()
        self._open, self._on_ready = open_model, on_ready
        self._characters = 0
        self._speed = 5_000.0  # characters that are answered in a second, measured as the service works
        self._questions: Questions | None = None
        self._model = ModelThread(self.limits.batch_tokens, self.limits.wait / 1_000, self.metrics.batch)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="rows")
        self._molecules = ThreadPoolExecutor(1, thread_name_prefix="molecules")

    @property
    def ready(self) -> bool:
        """Whether the model is loaded and warm."""
        return self._questions is not None

    @property
    def questions(self) -> Questions:
        """Makes the questions of requests.

        Raises:
            NotReadyError: the model is not loaded yet.
        """
        if self._questions is None:
            raise NotReadyError("the model is being loaded", hint="GET /ready says when it is")
        return self._questions

    @property
    def model(self) -> Mammal:
        """The model.

        Raises:
            NotReadyError: it is not loaded yet.
        """
        return self.questions.model

    def start(self, failed: Callable[[], None] | None = None) -> None:
        """Starts to load the model.

        Args:
            failed: is called if the model can't be loaded. `failure` is the reason then.
        """

        def note(error: BaseException) -> None:
            self.failure = error
            if failed is not None:
                failed()

        self._model.start(self._load, note)

    async def until_ready(self) -> None:
        """Waits until the model is loaded.

        Raises:
            NotReadyError: it can't be loaded, or takes longer than a request may.
        """
        deadline = time.monotonic() + self.limits.timeout
        while not self.ready and self.failure is None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        _ = self.questions

    def stop(self) -> None:
        """Answers the accepted requests, and ends the threads."""
        self._model.stop()
        self._hooks.close()
        self._threads.shutdown()
        self._molecules.shutdown()

    def _load(self) -> None:
        model = self._open()
        questions = Questions(model, self.limits)
        self._hooks.enter_context(interruptible(model.model, self._model.stop_if_abandoned))
        for name in model.tasks:
            self.tasks[name] = served_task(model, questions, name)
        self._warm_up(questions)
        self._questions = questions
        self.metrics.ready.set(1)
        if self._on_ready is not None:
            self._on_ready()

    def _warm_up(self, questions: Questions) -> None:
        """Runs each task once, which also gives the examples of the documentation."""
        from mammal.jobs.warm_up import warm_up

        warmed: set[tuple[bool, bool]] = set()
        for name, task in self.tasks.items():
            if task.example is None or "predict" not in task.verbs:
                continue
            asked = questions.ask("predict", {"data": [task.example], "task": name})
            for used in asked.question.uses:
                if (used.decodes, used.vocabulary) not in warmed:
                    warm_up(used)
                    warmed.add((used.decodes, used.vocabulary))
            with collected_notes():
                answered = Answered(asked, asked.question.ask(asked.given.rows))
            self.examples[name] = described(answered)

    async def answer(self, verb: str, fields: Mapping[str, Any]) -> Answered:
        """Answers a request.

        Args:
            verb: the verb.
            fields: the fields of the request, with their defaults.

        Raises:
            MammalError: a field is wrong; the request exceeds a limit (`TooLargeError`, `TimedOutError`); the service
                is busy (`BusyError`) or not ready (`NotReadyError`).
        """
        start = time.monotonic()
        outcome = "failed"
        try:
            questions = self.questions
            size = size_of(fields)
            async with self._accepted(size * (EXPLAINED if verb == "explain" else 1)):
                answered = await self._answer(questions, verb, fields, size)
            outcome = "answered"
            self._count_rows(verb, answered)
            return answered
        except RefusedRequestError as error:
            outcome = _OUTCOMES.get(type(error), "refused")
            raise
        except MammalError:
            outcome = "wrong"
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self.metrics.requests.labels(verb, outcome).inc()
            self.metrics.seconds.labels(verb).observe(time.monotonic() - start)

    @asynccontextmanager
    async def _accepted(self, size: int) -> AsyncIterator[None]:
        """Counts a request while it is worked on, or refuses it."""
        limits = self.limits
        too_many = self.waiting >= limits.max_requests
        too_much = self.waiting > 0 and self._characters + size > limits.max_waiting
        if too_many or too_much:
            what = f"{self.waiting:,} requests" if too_many else f"{self._characters:,} characters"
            raise BusyError(f"{what} already wait for an answer", self._retry_after())
        self.accepted += 1
        self.waiting += 1
        self._characters += size
        start = time.monotonic()
        try:
            yield
            rate = (self._characters or 1) / max(time.monotonic() - start, 1e-3)
            self._speed += 0.1 * (rate - self._speed)
            self.answered += 1
        except Exception:
            self.answered += 1  # with an error, which is an answer; a client that is gone gets none
            raise
        finally:
            self.waiting -= 1
            self._characters -= size

    def _retry_after(self) -> int:
        return min(60, max(1, math.ceil(self._characters / max(self._speed, 1.0))))

    async def _answer(self, questions: Questions, verb: str, fields: Mapping[str, Any], size: int) -> Answered:
        try:
            async with asyncio.timeout(self.limits.timeout):
                asked = await self._in_thread(questions.ask, verb, fields, inline=size <= INLINE)
                return Answered(asked, await self._answers(asked))
        except TimeoutError:
            hint = "send fewer rows at once, or later"
            raise TimedOutError(f"no answer within {self.limits.timeout:g} s", hint=hint) from None

    async def _answers(self, asked: Asked) -> Sequence[Answer]:
        question, rows = asked.question, asked.given.rows
        if isinstance(question, Computed):
            return await self._computed(question, rows)
        if isinstance(question, FromNames):
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._molecules, read_ahead, question, rows)
        return await self._model.ask(question, rows, _costs(question, rows))

    async def _computed(self, question: Computed, rows: Sequence[Row]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        answers: list[Answer] = []
        for start in range(0, len(rows), PIECE):
            answers += await loop.run_in_executor(self._molecules, question.ask, rows[start : start + PIECE])
        return answers

    async def in_thread(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        """Runs a function in a thread.

        Args:
            work: the function.
            arguments: its arguments.
        """
        return await self._in_thread(work, *arguments, inline=False)

    async def _in_thread(self, work: Callable[..., _Result], *arguments: Any, inline: bool) -> _Result:
        if inline:
            return work(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _count_rows(self, verb: str, answered: Answered) -> None:
        refused = answered.refused
        self.metrics.rows.labels(verb, "refused").inc(refused)
        self.metrics.rows.labels(verb, "answered").inc(answered.rows - refused)


_OUTCOMES = {BusyError: "busy", TimedOutError: "timeout", TooLargeError: "too large", NotReadyError: "not ready"}


def _costs(question: Question, rows: Sequence[Row]) -> list[int]:
    """Characters of each row, with those of its prompt, for each sequence that is generated from it.

    Those of rows that are explained count `EXPLAINED` times.
    """
    asked = getattr(question, "inner", question)
    each = EXPLAINED if isinstance(asked, Explain) else getattr(asked, "sequences_of_row", 1)
    return [each * (PROMPT_CHARACTERS + sum(len(str(cell)) for cell in row.values())) for row in rows]


def described(answered: Answered) -> dict[str, Any]:
    """Returns the body of an answer.

    Args:
        answered: the answers to a request.
    """
    task = getattr(answered.asked.question, "task", None)
    rows = answered.records()
    return {
        **({} if task is None else {"task": task.name}),
        "columns": list(rows[0]) if rows else [],
        "meanings": dict(answered.asked.meanings),
        "rows": rows,
        "refused": answered.refused,
        "notes": answered.notes,
    }

"""Worker processes that survive each other's death.

`concurrent.futures.ProcessPoolExecutor` sends all results through one pipe. A process that is killed while it writes
there leaves half a result and a lock that nobody releases, and the caller waits forever. Here each process has a pipe
of its own, which ends with the process: it is replaced, and its task is done again.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from mammal.errors import JobError

TRIES = 3
"""Processes that try a task. If all of them die, the task is taken to be the reason."""


class WorkerDiedError(JobError):
    """Processes died while they worked on a task."""


class _Task(NamedTuple):
    call: bytes
    future: Future[Any]


class WorkerPool:
    """Processes that call functions.

    Args:
        workers: number of processes.
        begin: function that each process calls first. None: there is none.
        arguments: its arguments.
    """

    def __init__(self, workers: int, begin: Callable[..., object] | None = None, arguments: Sequence[Any] = ()):
        self._begin, self._ending = pickle.dumps((begin or _nothing, arguments)), False
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._processes = [_Process(self._begin) for _ in range(workers)]
        self._threads = [Thread(target=self._serve, args=(place,), daemon=True) for place in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Calls a function in one of the processes.

        Args:
            work: function at the top level of a module, which processes receive by name.
            arguments: its arguments.

        Returns:
            The result; or what the function raised, or a `WorkerDiedError` if `TRIES` processes died with it.
        """
        task = _Task(pickle.dumps((work, arguments)), Future())
        self._tasks.put(task)
        return task.future

    def close(self, *, wait: bool = True) -> None:
        """Ends the processes.

        Args:
            wait: finish all tasks first. False: drop them.
        """
        if not wait:
            self._ending = True
            with suppress(Empty):
                while (task := self._tasks.get_nowait()) is None or task.future.cancel():
                    pass
            for process in self._processes:
                process.end()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            process.end()

    def _serve(self, place: int) -> None:
        """Gives tasks to one process, one after the other."""
        with suppress(OSError):
            self._processes[place].begin()
        while (task := self._tasks.get()) is not None:
            if task.future.set_running_or_notify_cancel():
                try:
                    task.future.set_result(self._call(place, task.call))
                except BaseException as error:
                    task.future.set_exception(error)

    def _call(self, place: int, call: bytes) -> Any:
        for _ in range(TRIES):
            try:
                fine, result = self._processes[place].call(call)
            except (EOFError, OSError):
                self._processes[place].end()
                if self._ending:
                    break
                self._processes[place] = _Process(self._begin)
                continue
            if fine:
                return result
            raise result
        hint = "too little memory? Run the same command again, which continues, with fewer workers or workers=0"
        raise WorkerDiedError(f"{TRIES} worker processes died with the same rows", hint=hint)


class _Process:
    """A process and the pipe to it.

    Args:
        begin: the function that it calls first with its arguments, pickled. It goes through the pipe as well: `start`
            would wait forever for a process that is killed before it has read them.
    """

    def __init__(self, begin: bytes):
        context = get_context("spawn")  # a forked child would inherit the locks of this one's threads
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe ends with the process
        self._begin: bytes | None = begin

    def begin(self) -> None:
        if self._begin is not None:
            self._pipe.send_bytes(self._begin)
            self._begin = None

    def call(self, call: bytes) -> tuple[bool, Any]:
        self.begin()
        self._pipe.send_bytes(call)
        return self._pipe.recv()

    def end(self) -> None:
        with suppress(OSError):
            self._process.kill()
            self._process.join()


def _nothing() -> None:
    pass


def _work(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the parent ends this one
    Thread(target=end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        begin, arguments = pickle.loads(pipe.recv_bytes())
        begin(*arguments)
        while True:
            call = pipe.recv_bytes()
            try:
                work, given = pickle.loads(call)
                answer = pickle.dumps((True, work(*given)))
            except Exception as error:
                answer = _failed(error)
            pipe.send_bytes(answer)


def _failed(error: Exception) -> bytes:
    """The error in pickled form; as text if it can't be read again."""
    try:
        pickle.loads(answer := pickle.dumps((False, error)))
        return answer
    except Exception:
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


def end_with_parent() -> None:
    """Ends this process when its parent process has ended. A parent that is killed can't stop its workers."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

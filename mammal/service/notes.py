"""Messages about the rows of a request go into its answer, not into the log, because they can quote the request."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_collected: ContextVar[list[str] | None] = ContextVar("notes of the request", default=None)


@contextmanager
def collected_notes() -> Iterator[list[str]]:
    """Collects the messages that the loggers of this package write in this thread.

    Yields:
        The messages, each once.
    """
    notes: list[str] = []
    token = _collected.set(notes)
    try:
        yield notes
    finally:
        _collected.reset(token)


def _collect(message: str) -> bool:
    """Adds a message to the notes of the request, if there is one. False: there is none."""
    notes = _collected.get()
    if notes is not None and message not in notes:
        notes.append(message)
    return notes is not None


class _ToRequest(logging.Handler):
    """Collects the messages of a request."""

    def emit(self, record: logging.LogRecord) -> None:
        _collect(record.getMessage())


def _not_of_a_request(_: logging.LogRecord) -> bool:
    return _collected.get() is None


def keep_requests_out_of_the_log() -> None:
    """Makes the log of this package and Python's warnings leave out the messages that `collected_notes` collects."""
    shown = warnings.showwarning

    def show(message: Warning | str, *place: Any, **more: Any) -> None:
        if not _collect(str(message)):
            shown(message, *place, **more)

    warnings.showwarning = show
    logger = logging.getLogger("mammal")
    for handler in logger.handlers:
        if _not_of_a_request not in handler.filters:
            handler.addFilter(_not_of_a_request)
    if not any(isinstance(handler, _ToRequest) for handler in logger.handlers):
        logger.addHandler(_ToRequest())

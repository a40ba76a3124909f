"""Writes to the user's terminal: results to stdout, everything else to stderr. No other module writes there.

A long job shows a progress line that is updated on a terminal. In a log file or a pipe, it writes a plain line from
time to time.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PLAIN_LINE_SECONDS = 10.0
"""Seconds between two progress lines if the output is not a terminal."""

BAR, LINE = 16, 80
"""Characters of the bar of a progress line, and of a whole line where no terminal says how long it may be."""

_live: RichProgress | None = None
"""The progress line that is shown. It is a global because a process has one terminal, and `note` must not write into
the line."""


def out(text: str = "") -> None:
    """Writes a line of a result to stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Writes a message to stderr. It can be called while a progress line is shown."""
    if _live is not None:
        _live.console.print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def table(rows: Iterable[Sequence[object]], header: Sequence[str]) -> None:
    """Writes a table with aligned columns to stdout. On a terminal, lines are cut to its width.

    Args:
        rows: one cell for each column.
        header: names of the columns.
    """
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        out(line if limit is None or len(line) <= limit else line[: limit - 1] + "…")


class _NoteHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        note(prefix + self.format(record))


def set_up_logging(level: int = logging.INFO) -> None:
    """Writes the messages of the `mammal` loggers and Python's warnings with `note`, each once.

    Args:
        level: lowest level of messages that are written.
    """
    logger = logging.getLogger("mammal")
    logger.setLevel(level)
    logger.propagate = False
    if not any(isinstance(handler, _NoteHandler) for handler in logger.handlers):
        logger.addHandler(_NoteHandler())
        warnings.showwarning = lambda message, *_, **__: note(f"warning: {message}")


def human(count: float) -> str:
    """Returns a count as short text: 950, 9.1k, 3.4M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if count >= limit:
            return f"{count / (1e3 if unit == 'k' else limit):.1f}{unit}"
    return f"{count:,.0f}"


def clock(seconds: float) -> str:
    """Returns a duration in seconds as 1:05 or 2:03:09."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """The progress line of a long job: finished work, rows/s, tokens/s, time left.

        with Progress("predict", total=5_000, unit="rows") as progress:
            progress.advance(32, rows=32, tokens=1_200)

    Args:
        title: name of the job.
        total: units of work. None: unknown.
        unit: name of the units that `advance` counts.
        seconds: time limit in seconds. If it will be reached before the work is finished, time left is computed from
            it.
    """

    def __init__(self, title: str, total: int | None = None, unit: str = "rows", seconds: float | None = None):
        self.title, self.total, self.unit, self.seconds = title, total, unit, seconds
        self.done = self.rows = self.tokens = self._resumed = 0
        self._status = ""
        self._start = self._last_line = time.monotonic()
        self._rich: RichProgress | None = None

    def __enter__(self) -> Self:
        global _live
        self._start = self._last_line = time.monotonic()
        if sys.stderr.isatty() and _live is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn
            from rich.table import Column

            self._rich = _live = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=BAR),
                TextColumn("{task.fields[facts]}", table_column=Column(no_wrap=True)),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._rich.add_task(self.title, total=1.0, facts="")
            self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _live
        if self._rich is not None:
            self._rich.stop()
            self._rich = _live = None
        if kind is None and self.done:
            note(self.summary())

    def skip(self, units: int) -> None:
        """Counts units that an earlier run has finished. They count as done, but not in the rates."""
        self.done += units
        self._resumed += units

    def advance(self, units: int = 1, *, rows: int = 0, tokens: int = 0, status: str | None = None) -> None:
        """Counts finished work and updates the line.

        Args:
            units: finished units of work.
            rows: finished rows.
            tokens: finished tokens.
            status: text at the end of the line, such as a loss. None: the last one is kept.
        """
        self.done += units
        self.rows += rows
        self.tokens += tokens
        if status is not None:
            self._status = status
        self._show()

    def elapsed(self) -> float:
        return time.monotonic() - self._start

    def fraction(self) -> float | None:
        """Returns the finished share of the work or of the time limit, whichever is larger. None: both are unknown."""
        by_work = self.done / self.total if self.total else None
        by_time = self.elapsed() / self.seconds if self.seconds else None
        known = [part for part in (by_work, by_time) if part is not None]
        return min(1.0, max(known)) if known else None

    def facts(self, width: int | None = None) -> str:
        """Returns the text after the title. It has the time left only if that can be computed.

        Args:
            width: largest number of characters. Counts are shortened, then rates are left out, then the status is cut,
                until the text fits. Default: any number.
        """
        rates, left = self._rates(), self._left()
        exact, short = (self._count(shown) for shown in (lambda count: f"{count:,}", human))
        fuller = [[exact, *rates], [short, *rates], [short, *rates[:1]], [short]]
        lines = (" · ".join(filter(None, [*parts, self._status, left])) for parts in fuller)
        if width is None:
            return next(lines)
        line = next((line for line in lines if len(line) <= width), None)
        if line is not None:
            return line
        room = width - len(" · ".join(filter(None, [short, left]))) - len(" · …")
        status = f"{self._status[:room]}…" if room > 0 else ""
        return " · ".join(filter(None, [short, status, left]))

    def _count(self, shown: Callable[[int], str]) -> str:
        total = f"/{shown(self.total)}" if self.total and self.seconds is None and self.done <= self.total else ""
        return f"{shown(self.done)}{total} {self.unit}"

    def _left(self) -> str:
        fraction, seconds = self.fraction(), self.elapsed()
        resumed = self._resumed / self.total if self.total else 0.0
        if not fraction or fraction <= resumed or seconds <= 1:
            return ""
        return f"{clock(seconds * (1 - fraction) / (fraction - resumed))} left"

    def summary(self) -> str:
        parts = [f"{self.done:,} {self.unit}", *self._rates(), self._status]
        return f"{self.title}: {' · '.join(part for part in parts if part)} in {clock(self.elapsed())}"

    def _rates(self) -> list[str]:
        seconds = max(self.elapsed(), 1e-6)
        return [
            f"{human(count / seconds)} {name}/s"
            for name, count in (("rows", self.rows), ("tokens", self.tokens))
            if count
        ]

    def _show(self) -> None:
        if self._rich is not None:
            room = self._rich.console.width - len(self.title) - BAR - 2
            self._rich.update(self._task, completed=self.fraction() or 0.0, facts=self.facts(room))
        elif time.monotonic() - self._last_line >= PLAIN_LINE_SECONDS:
            self._last_line = time.monotonic()
            note(f"{self.title}: {self.facts(LINE - len(self.title) - 2)}")

"""The one place that writes to the user's terminal: results to stdout, everything else to stderr.

Long work shows one line that moves on a terminal and plain lines, now and then, elsewhere (a log file, a pipe).
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PLAIN_LINE_SECONDS = 10.0
"""How often a progress line is written where it can't move."""

_live: RichProgress | None = None
"""The line that moves. A process has one terminal, and `note` of any module must not write into that line."""


def out(text: str = "") -> None:
    """A result, to stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """What is going on, to stderr; safe while a progress line moves."""
    if _live is not None:
        _live.console.print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def table(rows: Iterable[Sequence[object]], header: Sequence[str]) -> None:
    """Aligned columns to stdout; on a terminal the last column is cut to its width."""
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
    """Send the `mammal` loggers, and Python's warnings, to the terminal, each line once, through `note`."""
    logger = logging.getLogger("mammal")
    logger.setLevel(level)
    logger.propagate = False
    if not any(isinstance(handler, _NoteHandler) for handler in logger.handlers):
        logger.addHandler(_NoteHandler())
        warnings.showwarning = lambda message, *_, **__: note(f"warning: {message}")


def human(count: float) -> str:
    """950, 9.1k, 3.4M: a count short enough for a line that moves."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if count >= limit:
            return f"{count / (1e3 if unit == 'k' else limit):.1f}{unit}"
    return f"{count:,.0f}"


def clock(seconds: float) -> str:
    """1:05 or 2:03:09."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """The line of one long job: what is done, rows/s, tokens/s, time left.

        with Progress("predict", total=5_000, unit="rows") as progress:
            progress.advance(32, rows=32, tokens=1_200)

    Args:
        title: what runs.
        total: units of work, None if unknown.
        unit: what `advance` counts.
        seconds: a time limit; where it is nearer than the end of the work, time left is counted to it.
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

            self._rich = _live = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[facts]}"),
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
        """Count units that an earlier run had done: they move the line but not the rates."""
        self.done += units
        self._resumed += units

    def advance(self, units: int = 1, *, rows: int = 0, tokens: int = 0, status: str | None = None) -> None:
        """Count finished work and show it. `status` (a loss, a shard) stands until the next one."""
        self.done += units
        self.rows += rows
        self.tokens += tokens
        if status is not None:
            self._status = status
        self._show()

    def elapsed(self) -> float:
        return time.monotonic() - self._start

    def fraction(self) -> float | None:
        """How much is done, by work or by time, whichever ends sooner; None if neither has an end."""
        by_work = self.done / self.total if self.total else None
        by_time = self.elapsed() / self.seconds if self.seconds else None
        known = [part for part in (by_work, by_time) if part is not None]
        return min(1.0, max(known)) if known else None

    def facts(self) -> str:
        """The words after the title, without time left when nothing is known of the end."""
        total = f"/{self.total:,}" if self.total and self.seconds is None else ""
        parts = [f"{self.done:,}{total} {self.unit}", *self._rates(), self._status]
        fraction, seconds = self.fraction(), self.elapsed()
        resumed = self._resumed / self.total if self.total else 0.0
        if fraction and fraction > resumed and seconds > 1:
            parts.append(f"{clock(seconds * (1 - fraction) / (fraction - resumed))} left")
        return " · ".join(part for part in parts if part)

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
            self._rich.update(self._task, completed=self.fraction() or 0.0, facts=self.facts())
        elif time.monotonic() - self._last_line >= PLAIN_LINE_SECONDS:
            self._last_line = time.monotonic()
            note(f"{self.title}: {self.facts()}")

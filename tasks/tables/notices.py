"""Notices about readable rows of a file: collected while a file is read, and logged once at its end."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

logger = logging.getLogger(__name__)

SHOWN = 5
"""Maximum number of row numbers in a notice."""


class FileNotices:
    """Notices about a file and about rows of it. Rows are counted from 1, without the header and blank lines."""

    def __init__(self) -> None:
        self._of_file: dict[str, None] = {}
        self._first_blank: int | None = None
        self._of_rows: dict[str, tuple[int, list[int]]] = {}

    def add(self, what: str) -> None:
        """Notes something about the whole file."""
        self._of_file[what] = None

    def add_blank(self, line: int) -> None:
        """Notes a blank line between two records: rows have no number for it, so rows and lines are apart.

        Args:
            line: its number, from 1.
        """
        if self._first_blank is None:
            self._first_blank = line
            self.add(f"blank lines are not rows, and rows are counted without them; the first is line {line}")

    def add_row(self, number: int, what: str) -> None:
        """Notes something about a row.

        Args:
            number: number of the row, from 1.
            what: the notice, as the predicate of a sentence about the rows, such as "have no name".
        """
        count, first = self._of_rows.get(what, (0, []))
        self._of_rows[what] = count + 1, [*first, number] if len(first) < SHOWN else first

    def log(self, file: Path | str) -> None:
        """Logs a warning for each notice, with the number of rows and the first of them."""
        for what in self._of_file:
            logger.warning("%s: %s", file, what)
        for what, (count, first) in self._of_rows.items():
            logger.warning("%s: %d row%s %s: %s", file, count, "s" * (count != 1), what, listed(first, count))


def listed(first: Iterable[int], count: int) -> str:
    """The numbers of the first of `count` rows, such as "rows 1, 4, 7, …"."""
    numbers = list(first)
    return f"row{'s' * (count != 1)} {', '.join(map(str, numbers))}{', …' * (count > len(numbers))}"

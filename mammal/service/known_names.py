"""Reads names before the model is asked, so that the thread of the model never waits for Java."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from mammal.inference.from_names import FromNames, NameReader, OpsinReader, ReadName
from mammal.rows.batched import Refused, Row
from mammal.tasks.tables.cells import as_text, is_missing

KEPT = 20_000
"""Names that are remembered; more than a request can have."""


class RememberedNames(NameReader):
    """A reader of names that remembers what it has read.

    Args:
        reader: reads names that are not known yet.
    """

    def __init__(self, reader: NameReader):
        self.reader, self.identity, self.questions = reader, reader.identity, reader.questions
        self._known: OrderedDict[str, ReadName | Refused] = OrderedDict()
        self._lock = Lock()

    def read(self, names: Sequence[str]) -> list[ReadName | Refused]:
        with self._lock:
            found = {name: self._known[name] for name in names if name in self._known}
        if new := [name for name in dict.fromkeys(names) if name not in found]:
            found |= dict(zip(new, self.reader.read(new), strict=True))
            with self._lock:
                self._known.update(found)
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)
        return [found[name] for name in names]


def remember_names(question: FromNames) -> None:
    """Makes a question remember the names that OPSIN reads for it.

    Args:
        question: the question, before its first row.
    """
    if isinstance(question.reader, OpsinReader):
        question.reader = RememberedNames(question.reader)


def read_ahead(question: FromNames, rows: Sequence[Row]) -> None:
    """Reads the names that a question will need for these rows.

    Args:
        question: the question.
        rows: its rows.
    """
    if not isinstance(question.reader, RememberedNames):
        return
    alias = question.task.aliases.get(question.column, question.column)
    without = [row for row in rows if is_missing(row.get(question.column, row.get(alias)))]
    cells = [row.get(question.names) for row in without]
    question.reader.read(list(dict.fromkeys(as_text(cell) for cell in cells if not is_missing(cell))))

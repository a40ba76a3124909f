"""Labels of the tokens of a sequence, as a table writes them: one for each residue, base or atom.

A cell holds one character for each token (`HHHEC.`), a list separated by commas, semicolons or blanks (`helix helix
strand`), or an array (Parquet, JSON lines). Labels of one character are joined without a separator in answers, and
longer ones with a blank.

Shapes: R tokens that have a label, C classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mammal.tasks.errors import DataError
from mammal.tasks.tables.cells import is_missing, is_missing_label
from mammal.tasks.targets.labels import LabelSet
from mammal.tokenization.errors import MammalError, did_you_mean
from mammal.tokenization.value_slots import UNLABELLED

_SEPARATORS = re.compile(r"\s*[,;]\s*")
_TRANSCRIPT = re.compile(r"\S(?:\s\S)+")
"""Single characters with one blank between them."""
_ARRAYS = (list, tuple, np.ndarray)


class TokenLabels:
    """Reads and writes the labels of the tokens of one column.

    Args:
        labels: the labels of the task.
        missing: text of a token without a label, in addition to the usual ones; None: only these.
    """

    def __init__(self, labels: LabelSet, missing: str | None = None):
        self.labels, self.missing = labels, missing
        self._found: dict[str, int] = {}

    @property
    def separator(self) -> str:
        """Text between two labels."""
        return "" if self._are_characters else " "

    @cached_property
    def _are_characters(self) -> bool:
        return all(len(label) == 1 for label in self.labels.labels)

    def read(self, cell: Any, column: str) -> np.ndarray:
        """Returns the class of each token, int64 [R]; -1 for a token without a label.

        Args:
            cell: the cell: text, or a list or array with one item for each token.
            column: name of its column, for error messages.

        Raises:
            DataError: the cell is empty or holds a number, or an item is not a label of the task.
        """
        if isinstance(cell, _ARRAYS):
            items: Iterable[Any] = np.asarray(cell, dtype=object).ravel().tolist()
        elif isinstance(cell, str):
            items = self._items(cell)
        elif is_missing(cell):
            raise DataError("empty cell", where=f"column {column}")
        else:
            hint = "give text such as '0110' or a list; a number loses its first zeros"
            raise DataError(f"{cell!r} is not a text with a label for each token", where=f"column {column}", hint=hint)
        return np.array([self._class(item, place, column) for place, item in enumerate(items)], dtype=np.int64)

    def write(self, classes_R: np.ndarray) -> str:
        """Returns the labels of tokens as text.

        Args:
            classes_R: class of each token, int [R]; -1: no label.
        """
        names = [*self.labels.labels, UNLABELLED]
        return self.separator.join([names[c] for c in classes_R.tolist()])

    def _items(self, text: str) -> Sequence[str]:
        text = text.strip("\r\n")
        if not text.strip():
            return []
        if "," in text or ";" in text:
            return _SEPARATORS.split(text.strip())
        if self._are_characters and not _TRANSCRIPT.fullmatch(text.strip()):
            return text
        return text.split()

    def _class(self, item: Any, place: int, column: str) -> int:
        key = item if isinstance(item, str) else repr(item)
        if key not in self._found:
            self._found[key] = self._looked_up(item, place, column)
        return self._found[key]

    def _looked_up(self, item: Any, place: int, column: str) -> int:
        missing = is_missing_label(item) or (self.missing is not None and item == self.missing)
        found = None if is_missing(item) else self.labels.find(item)
        if found is not None:
            return found
        if missing:
            return -1
        hint = did_you_mean(str(item), self.labels.labels, noun="label")
        what = f"label {str(item)!r} of token {place + 1} is not one of the task's"
        raise DataError(what, where=f"column {column}", hint=hint)


def read_or_none(labels: TokenLabels, cell: Any, column: str) -> np.ndarray | None:
    """As `TokenLabels.read`, but None if the cell can't be read."""
    try:
        return labels.read(cell, column)
    except MammalError:
        return None

"""Class labels: their text in the file, their token codes in the target text, and the trie of these codes.

Shapes: C classes, W steps of a code, V distinct code tokens (sorted ids), P prefixes of W - 1 tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.tables.cells import as_text, is_missing_label
from mammal.tokenization.errors import did_you_mean


class LabelSet:
    """The labels of a task, as they are written in the file.

    A cell matches a label if both have the same text, if both are the same number (`1`, `1.0`, `True`), or if both are
    the same word in upper or lower case (`Active`, `ACTIVE`).
    """

    def __init__(self, labels: list[str]):
        self.labels = list(labels)
        self._index: dict[str, int] = {}
        for spelling in (str, numeric_text, label_key):
            for i, label in enumerate(labels):
                self._index.setdefault(spelling(label), i)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def positive(self) -> str | None:
        """The positive class: the last of two labels; None if there are more."""
        return self.labels[1] if len(self.labels) == 2 else None

    def find(self, value: Any) -> int | None:
        """Position of a cell's label; None if it is not in the set."""
        text = as_text(value)
        for spelling in (str, numeric_text, label_key):
            if (found := self._index.get(spelling(text))) is not None:
                return found
        return None

    def index(self, value: Any, column: str) -> int:
        """Returns the position of a cell's label in `labels`.

        Args:
            value: the cell.
            column: name of its column, for the error message.

        Raises:
            DataError: the label is not in the set.
        """
        found = self.find(value)
        if found is None:
            text = as_text(value)
            hint = did_you_mean(text, self.labels, noun="label")
            raise DataError(f"label {text!r} is not one of the task's", where=f"column {column}", hint=hint)
        return found

    def index_or_missing(self, value: Any, column: str) -> int:
        """Position of a cell's label, -1 for a cell that is empty or has a word for "missing" that is not a label.

        Raises:
            DataError: the label is not in the set.
        """
        return -1 if is_missing_label(value) and self.find(value) is None else self.index(value, column)


@dataclass(frozen=True)
class CodeBook:
    """Token codes of the classes of one target column.

    Attributes:
        prefix: token ids of the target before the code, without `<DECODER_START>`.
        codes_CW: token ids of each class's code, int [C, W].
    """

    prefix: np.ndarray
    codes_CW: np.ndarray

    @classmethod
    def from_targets(cls, targets: list[np.ndarray], start: int = 0) -> CodeBook:
        """Derives the code book from the encoded targets of all classes, which differ only in the code.

        Args:
            targets: token ids of the target text of each class, in the order of the classes.
            start: position at which this column's part of the target begins (after the codes of earlier columns).

        Raises:
            TaskError: the targets differ in length, are all equal, or two labels have the same tokens.
        """
        if len({len(ids) for ids in targets}) != 1:
            raise TaskError("the target texts of the classes differ in length", hint="give codes of equal width")
        ids_CT = np.stack(targets)
        varying = np.flatnonzero((ids_CT != ids_CT[0]).any(axis=0))
        if not len(varying):
            raise TaskError("the target text is the same for every class", hint="prompt.target needs a label slot")
        first, last = int(varying[0]), int(varying[-1])
        codes_CW = ids_CT[:, first : last + 1]
        if len({tuple(code) for code in codes_CW.tolist()}) != len(targets):
            raise TaskError("two labels have the same tokens in the target text", hint="give other codes")
        return cls(ids_CT[0, start:first].copy(), codes_CW.copy())

    @property
    def width(self) -> int:
        return self.codes_CW.shape[1]

    @cached_property
    def tokens_V(self) -> np.ndarray:
        """Sorted ids of all tokens that occur in a code."""
        return np.unique(self.codes_CW)

    @cached_property
    def columns_CW(self) -> np.ndarray:
        """Position in `tokens_V` of each code token."""
        return np.searchsorted(self.tokens_V, self.codes_CW)

    @cached_property
    def prefixes_P(self) -> np.ndarray:
        """One class for each distinct code prefix of W - 1 tokens: decoding these reaches every node of the trie."""
        if self.width == 1:
            return np.zeros(1, dtype=np.int64)
        _, first = np.unique(self.codes_CW[:, :-1], axis=0, return_index=True)
        return np.sort(first)

    @cached_property
    def readers_CW(self) -> np.ndarray:
        """For class c and step w, the entry of `prefixes_P` whose decoder row passes through c's node at w."""
        prefixes_PW = self.codes_CW[self.prefixes_P]
        same_CPW = self.codes_CW[:, None, :-1] == prefixes_PW[None, :, :-1]
        shared_CPW = np.logical_and.accumulate(same_CPW, axis=2)
        rows = np.zeros_like(self.codes_CW)
        for step in range(1, self.width):
            rows[:, step] = shared_CPW[:, :, step - 1].argmax(axis=1)
        return rows

    def classes_of(self, codes_NW: np.ndarray) -> np.ndarray:
        """Returns the class of each code, int64 [N]; every code must be in the book."""
        powers_W = len(self.tokens_V) ** np.arange(self.width)[::-1]
        keys_C = self.columns_CW @ powers_W
        order_C = np.argsort(keys_C)
        keys_N = np.searchsorted(self.tokens_V, codes_NW) @ powers_W
        return order_C[np.searchsorted(keys_C, keys_N, sorter=order_C)]

    @cached_property
    def valid_CWV(self) -> np.ndarray:
        """Whether a code token may follow the first w tokens of class c, bool [C, W, V]: branches of the trie there."""
        classes, width = self.codes_CW.shape
        valid = np.zeros((classes, width, len(self.tokens_V)), dtype=bool)
        for step in range(width):
            branches: dict[tuple[int, ...], set[int]] = {}
            for c in range(classes):
                node = tuple(self.codes_CW[c, :step].tolist())
                branches.setdefault(node, set()).add(int(self.columns_CW[c, step]))
            for c in range(classes):
                valid[c, step, list(branches[tuple(self.codes_CW[c, :step].tolist())])] = True
        return valid


def numeric_text(text: str) -> str:
    """One spelling for each number: `1`, `1.0`, `01` and `True` are "1"; other texts as they are."""
    if text.lower() in ("true", "false"):
        return str(int(text.lower() == "true"))
    try:
        return as_text(float(text))
    except ValueError:
        return text


def label_key(text: str) -> str:
    """Equal for spellings of the same label: one number, or one word of two letters or more in any case."""
    number = numeric_text(text)
    return number.casefold() if len(number) > 1 else number

"""Truth beside answer: what metrics and calibration read.

Shapes: N rows that have both truth and answer, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Holds = Literal["classes", "numbers", "texts"]


@dataclass(frozen=True)
class Answers:
    """Truth beside answer for one target column.

    Attributes:
        truth_N, answer_N: numbers (regression), class indices (classification) or texts (generation).
        probability_NC: classification: probability of every class.
        rows_N: numbers of the rows, which the bootstrap draws for all columns of a task at once; None: 0 to N - 1.
        ranked_N: generation: the texts of a row, best first, `answer_N` among them; None: one alone was asked for.
        asked_N: generation: SMILES of the molecule that the row's prompt reads; None where it does not read just one.
        conditions: generation of molecules: property -> what rows asked for, float64 [N], NaN where one did not.
        written_N: numbers told beside a molecule: the same property of the molecule that the answer wrote, NaN where it
            can't be read; None: the number is no property of one.
        whole_N: generation that fills in: the whole texts that answers complete; None for others.
        censored: rows left out because the truth is known to be above or below a number, no more.
    """

    truth_N: np.ndarray
    answer_N: np.ndarray
    probability_NC: np.ndarray | None = None
    rows_N: np.ndarray | None = None
    ranked_N: np.ndarray | None = None
    asked_N: np.ndarray | None = None
    conditions: Mapping[str, np.ndarray] | None = None
    written_N: np.ndarray | None = None
    whole_N: np.ndarray | None = None
    censored: int = 0

    def __len__(self) -> int:
        return len(self.truth_N)

    @property
    def holds(self) -> Holds:
        if self.probability_NC is not None:
            return "classes"
        return "texts" if self.truth_N.dtype == object else "numbers"

    @property
    def numbers_N(self) -> np.ndarray:
        """Numbers of the rows, int64 [N]."""
        return np.arange(len(self)) if self.rows_N is None else self.rows_N

    def take(self, picked: np.ndarray) -> Answers:
        """The answers at some positions, which may repeat."""
        return replace(
            self,
            truth_N=self.truth_N[picked],
            answer_N=self.answer_N[picked],
            probability_NC=_at(self.probability_NC, picked),
            rows_N=self.numbers_N[picked],
            ranked_N=_at(self.ranked_N, picked),
            asked_N=_at(self.asked_N, picked),
            written_N=_at(self.written_N, picked),
            whole_N=_at(self.whole_N, picked),
            conditions=None if self.conditions is None else {c: v_N[picked] for c, v_N in self.conditions.items()},
        )


def object_array(values: Sequence[object]) -> np.ndarray:
    """One cell for each value, tuples of equal length among them, which NumPy would make a matrix of."""
    array_N = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array_N[row] = value
    return array_N


def _at(values: np.ndarray | None, picked: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[picked]

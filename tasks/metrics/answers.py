"""Pairs of truth and answer, from which metrics and calibrations are computed.

Shapes: N rows that have both truth and answer, C classes, F entries of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Holds = Literal["classes", "numbers", "texts", "scores", "bits"]


@dataclass(frozen=True)
class Answers:
    """Pairs of truth and answer for one target column.

    Attributes:
        truth_N: true numbers (regression), class indices (classification) or texts (generation); features: vectors
            [N, F] of scores, NaN where unknown, or of bits (bool).
        answer_N: predicted ones, of the same kind; probabilities of bits.
        probability_NC: classification: probability of every class, float [N, C].
        rows_N: numbers of the rows, int64 [N], so that the bootstrap samples a row for all columns at once; None: 0 to
            N - 1.
        ranked_N: generation: all answers of a row, best first, including `answer_N`; None: only one was requested.
        asked_N: generation: SMILES of the input molecule; None if prompts don't read exactly one.
        conditions: generation of molecules: property -> requested values, float64 [N], NaN if not requested.
        written_N: numbers generated together with a molecule: the same property computed from the generated molecule,
            float64 [N], NaN if the molecule can't be read; None: the number is not a property of a molecule.
        whole_N: infilling: the completed texts; None for other tasks.
        by_token: the pairs are tokens of rows (token classification): several have the number of one row.
        censored: number of rows left out because only a bound on the truth is known.
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
    by_token: bool = False
    censored: int = 0

    def __len__(self) -> int:
        return len(self.truth_N)

    @property
    def holds(self) -> Holds:
        if self.probability_NC is not None:
            return "classes"
        if self.truth_N.ndim == 2:
            return "bits" if self.truth_N.dtype == bool else "scores"
        return "texts" if self.truth_N.dtype == object else "numbers"

    @property
    def numbers_N(self) -> np.ndarray:
        """Numbers of the rows, int64 [N]."""
        return np.arange(len(self)) if self.rows_N is None else self.rows_N

    def take(self, picked: np.ndarray) -> Answers:
        """Returns the pairs at some positions.

        Args:
            picked: positions, int64; they may repeat.
        """
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
    """Returns an object array with one cell per value, even for tuples, from which NumPy would make a matrix."""
    array_N = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array_N[row] = value
    return array_N


def _at(values: np.ndarray | None, picked: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[picked]

"""Label standardisation, fitted on training rows and carried by the bundle.

Shapes: N rows, K target columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mammal.tasks.declaration.schema import ScaleConfig
from mammal.tasks.errors import DataError, TaskError, unfitted

LARGEST_EXPONENT = 300.0
"""Powers of ten that a prediction on a logarithmic scale is cut to, so that it stays a finite number."""


@dataclass(frozen=True)
class Scale:
    """Trained value = (value - mean) / std, both in the file's unit; with `log`, of the value's decimal logarithm."""

    mean: float
    std: float
    log: bool = False

    @classmethod
    def fit(cls, values_N: np.ndarray, column: str, *, log: bool = False) -> Scale:
        """Mean and standard deviation of the known values; on a logarithmic scale, of the positive ones.

        Raises:
            TaskError: fewer than two known values, or all equal.
        """
        known = values_N[~np.isnan(values_N)]
        known = np.log10(known[known > 0]) if log else known
        if len(known) < 2 or float(known.std()) == 0:
            which = "positive numbers" if log else "numbers"
            raise TaskError(f"column {column!r} has no two different {which} in the training rows")
        return cls(float(known.mean()), float(known.std()), log)

    def line(self, value: float, column: str = "") -> float:
        """The value where differences count: itself, or its decimal logarithm.

        Raises:
            DataError: a value of 0 or less on a logarithmic scale.
        """
        if not self.log:
            return value
        if value <= 0:
            raise DataError(f"{value:g} has no logarithm", where=f"column {column}", hint="scale.log: false")
        return math.log10(value)

    def back(self, position: float) -> float:
        """The value at a position of `line`."""
        if not self.log:
            return position
        return float(10.0 ** min(max(position, -LARGEST_EXPONENT), LARGEST_EXPONENT))

    def apply(self, value: float, column: str = "") -> float:
        """The value as it is trained on; NaN stays NaN."""
        return (self.line(value, column) - self.mean) / self.std

    def invert(self, scaled: float) -> float:
        """The value in the file's unit."""
        return self.back(scaled * self.std + self.mean)

    def state(self) -> dict[str, float | bool]:
        """As plain values; `log` only where it is set."""
        return {name: value for name, value in asdict(self).items() if name != "log" or value}


class Scales:
    """The scale of each target column: declared, or fitted on training rows.

    Args:
        task: its name, for messages.
        columns: target columns that hold numbers.
        declared: with a mean or a deviation nothing is fitted.
    """

    def __init__(self, task: str, columns: Sequence[str], declared: ScaleConfig):
        self.task, self.columns, self.log = task, list(columns), declared.log
        self.fixed = declared.mean is not None or declared.std is not None
        fixed = Scale(declared.mean or 0.0, declared.std or 1.0, declared.log)
        self._scales = dict.fromkeys(self.columns, fixed) if self.fixed else {}

    def __getitem__(self, column: str) -> Scale:
        if column not in self._scales:
            raise unfitted(self.task, f"label {column!r}")
        return self._scales[column]

    def fit(self, numbers_NK: np.ndarray) -> None:
        """Fit every column on the known numbers of training rows, NaN where unknown."""
        if not self.fixed:
            pairs = zip(self.columns, numbers_NK.T, strict=True)
            self._scales = {column: Scale.fit(values_N, column, log=self.log) for column, values_N in pairs}

    def apply(self, numbers_K: np.ndarray) -> np.ndarray:
        """A row's numbers as they are trained on, float32 [K]; NaN stays NaN."""
        pairs = zip(self.columns, numbers_K.tolist(), strict=True)
        return np.array([self[column].apply(value, column) for column, value in pairs], dtype=np.float32)

    def state(self) -> dict[str, dict[str, float | bool]]:
        return {column: scale.state() for column, scale in self._scales.items()}

    def load_state(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        for column, scale in state.items():
            self._scales[column] = Scale(float(scale["mean"]), float(scale["std"]), bool(scale.get("log", False)))

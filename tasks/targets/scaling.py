"""Standardisation of numeric labels, fitted on training rows and saved in the bundle.

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
"""Predictions on a logarithmic scale are clipped to 10^±300, so that they stay finite numbers."""


@dataclass(frozen=True)
class Scale:
    """Scale of a column: the model is trained on (value - mean) / std.

    Attributes:
        mean: in the file's unit; with `log`, mean of the decimal logarithms.
        std: standard deviation, in the file's unit; with `log`, that of the decimal logarithms.
        log: whether the decimal logarithm of the value is standardised, instead of the value.
    """

    mean: float
    std: float
    log: bool = False

    @classmethod
    def fit(cls, values_N: np.ndarray, column: str, *, log: bool = False) -> Scale:
        """Fits mean and standard deviation on the known values; on a logarithmic scale, on the positive ones.

        Args:
            values_N: values of training rows, float [N], NaN if unknown.
            column: name of the column, for the error message.
            log: whether to use decimal logarithms.

        Raises:
            TaskError: there are no two different values.
        """
        known = values_N[~np.isnan(values_N)]
        known = np.log10(known[known > 0]) if log else known
        if len(known) < 2 or float(known.std()) == 0:
            which = "positive numbers" if log else "numbers"
            raise TaskError(f"column {column!r} has no two different {which} in the training rows")
        return cls(float(known.mean()), float(known.std()), log)

    def line(self, value: float, column: str = "") -> float:
        """Returns the value on the linear scale that is standardised: the value itself, or its decimal logarithm.

        Raises:
            DataError: a value of 0 or less on a logarithmic scale.
        """
        if not self.log:
            return value
        if value <= 0:
            raise DataError(f"{value:g} has no logarithm", where=f"column {column}", hint="scale.log: false")
        return math.log10(value)

    def back(self, position: float) -> float:
        """Inverts `line`: returns the value in the file's unit."""
        if not self.log:
            return position
        return float(10.0 ** min(max(position, -LARGEST_EXPONENT), LARGEST_EXPONENT))

    def apply(self, value: float, column: str = "") -> float:
        """Returns the standardised value; NaN stays NaN."""
        return (self.line(value, column) - self.mean) / self.std

    def invert(self, scaled: float) -> float:
        """Converts a standardised value to the file's unit."""
        return self.back(scaled * self.std + self.mean)

    def state(self) -> dict[str, float | bool]:
        """Returns the scale as plain values; `log` only if it is set."""
        return {name: value for name, value in asdict(self).items() if name != "log" or value}


class Scales:
    """The scale of each target column: declared, or fitted on training rows.

    Args:
        task: name of the task, for messages.
        columns: target columns that hold numbers.
        declared: the declared scale; if it has a mean or a standard deviation, nothing is fitted.
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
        """Fits the scale of every column, unless declared.

        Args:
            numbers_NK: numbers of training rows, float [N, K], NaN if unknown.
        """
        if not self.fixed:
            pairs = zip(self.columns, numbers_NK.T, strict=True)
            self._scales = {column: Scale.fit(values_N, column, log=self.log) for column, values_N in pairs}

    def apply(self, numbers_K: np.ndarray) -> np.ndarray:
        """Returns the standardised numbers of a row, float32 [K]; NaN stays NaN."""
        pairs = zip(self.columns, numbers_K.tolist(), strict=True)
        return np.array([self[column].apply(value, column) for column, value in pairs], dtype=np.float32)

    def state(self) -> dict[str, dict[str, float | bool]]:
        return {column: scale.state() for column, scale in self._scales.items()}

    def load_state(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        for column, scale in state.items():
            self._scales[column] = Scale(float(scale["mean"]), float(scale["std"]), bool(scale.get("log", False)))

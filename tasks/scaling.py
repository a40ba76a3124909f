"""Label standardisation, fitted on training rows and carried by the bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from mammal.tasks.errors import TaskError


@dataclass(frozen=True)
class Scale:
    """Trained value = (value - mean) / std; both in the file's unit."""

    mean: float
    std: float

    @classmethod
    def fit(cls, values_N: np.ndarray, column: str) -> Scale:
        """Mean and standard deviation of the known values.

        Raises:
            TaskError: fewer than two known values, or all equal.
        """
        known = values_N[~np.isnan(values_N)]
        if len(known) < 2 or float(known.std()) == 0:
            raise TaskError(f"column {column!r} has no two different numbers in the training rows")
        return cls(float(known.mean()), float(known.std()))

    def apply(self, value: float) -> float:
        return (value - self.mean) / self.std

    def invert(self, scaled: float) -> float:
        return scaled * self.std + self.mean

    def state(self) -> dict[str, float]:
        return asdict(self)

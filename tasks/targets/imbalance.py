"""Class weights: how much a label counts in the loss where classes are rare.

Shapes: N rows, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tokenization.errors import did_you_mean


class ClassWeights:
    """Weights of the classes in the loss, for each target column.

    Args:
        declared: `class_weights` of the task: `none`, `balanced`, one number for each class, or one of these by column.
        columns: the target columns.

    Raises:
        TaskError: a column of the declaration is no target.
    """

    def __init__(self, declared: Any, columns: Sequence[str]):
        by_column = declared if isinstance(declared, Mapping) else dict.fromkeys(columns, declared)
        for column in by_column:
            if column not in columns:
                hint = did_you_mean(column, columns, noun="target column")
                raise TaskError(f"class_weights names {column!r}, which is no target", hint=hint)
        self.balanced = [column for column, how in by_column.items() if how == "balanced"]
        given = {column: how for column, how in by_column.items() if not isinstance(how, str)}
        self._weights_C = {column: np.array(how, dtype=np.float64) for column, how in given.items()}

    def fit(self, column: str, classes_N: np.ndarray, classes: int) -> None:
        """Take the weights of a balanced column from the classes of its training rows, -1 where unknown."""
        if column in self.balanced:
            self._weights_C[column] = balanced_weights(classes_N[classes_N >= 0], classes)

    def of(self, column: str) -> np.ndarray | None:
        """Weights of the classes, float64 [C]; None where all count alike, or nothing was fitted yet."""
        return self._weights_C.get(column)

    def state(self) -> dict[str, list[float]]:
        return {column: weights_C.tolist() for column, weights_C in self._weights_C.items()}

    def load_state(self, state: Mapping[str, Sequence[float]]) -> None:
        self._weights_C = {column: np.array(weights, dtype=np.float64) for column, weights in state.items()}


def balanced_weights(classes_N: np.ndarray, classes: int) -> np.ndarray:
    """n / (C · n_c) for each class that occurs, C of them: each class weighs as much in all, and a row 1 on average.

    The heuristic of King and Zeng (2001). A class that does not occur has weight 1.
    """
    counts_C = np.bincount(classes_N, minlength=classes)
    occurring = int((counts_C > 0).sum())
    return np.where(counts_C > 0, len(classes_N) / (max(occurring, 1) * np.maximum(counts_C, 1)), 1.0)

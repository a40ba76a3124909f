"""Class weights in the loss, for tasks with rare classes.

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
        declared: `class_weights` of the task: `none`, `balanced`, one number for each class, or a mapping from a column
            to one of these.
        columns: the target columns.

    Raises:
        TaskError: a column of the declaration is not a target.
    """

    def __init__(self, declared: Any, columns: Sequence[str]):
        by_column = declared if isinstance(declared, Mapping) else dict.fromkeys(columns, declared)
        for column in by_column:
            if column not in columns:
                hint = did_you_mean(column, columns, noun="target column")
                raise TaskError(f"class_weights names {column!r}, which is not a target", hint=hint)
        self.balanced = [column for column, how in by_column.items() if how == "balanced"]
        given = {column: how for column, how in by_column.items() if not isinstance(how, str)}
        self._weights_C = {column: np.array(how, dtype=np.float64) for column, how in given.items()}

    def fit(self, column: str, classes_N: np.ndarray, classes: int) -> None:
        """Computes the weights of a column that is declared as `balanced`; other columns stay unchanged.

        Args:
            column: the target column.
            classes_N: classes of the training rows, int [N], -1 if unknown.
            classes: number of classes.
        """
        if column in self.balanced:
            self._weights_C[column] = balanced_weights(classes_N[classes_N >= 0], classes)

    def of(self, column: str) -> np.ndarray | None:
        """Returns the weights of the classes, float64 [C]; None if all are equal, or if nothing was fitted yet."""
        return self._weights_C.get(column)

    def state(self) -> dict[str, list[float]]:
        return {column: weights_C.tolist() for column, weights_C in self._weights_C.items()}

    def load_state(self, state: Mapping[str, Sequence[float]]) -> None:
        self._weights_C = {column: np.array(weights, dtype=np.float64) for column, weights in state.items()}


def balanced_weights(classes_N: np.ndarray, classes: int) -> np.ndarray:
    """Returns the weight n / (C · n_c) of each of the C classes that occur; a class that does not occur gets 1.

    So all classes have the same total weight, and the mean weight of a row is 1 (heuristic of King and Zeng 2001).

    Args:
        classes_N: class of each row, int [N].
        classes: number of classes.
    """
    counts_C = np.bincount(classes_N, minlength=classes)
    occurring = int((counts_C > 0).sum())
    return np.where(counts_C > 0, len(classes_N) / (max(occurring, 1) * np.maximum(counts_C, 1)), 1.0)

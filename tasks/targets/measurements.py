"""The numbers that rows hold in a task's target columns: measured, bounded (`>10`), or missing.

Shapes: N rows, K target columns that hold numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.molecules.properties import PROPERTIES, compute
from mammal.tasks.tables.cells import Row, as_number, as_required_text, cell, is_missing
from mammal.tasks.targets.censored import EXACT, bounded_number
from mammal.tasks.targets.scaling import Scales
from mammal.tokenization.errors import did_you_mean


class Measurements:
    """Reads numbers off rows, in the unit of their file.

    Args:
        config: of the task: how it takes bounds, what the file calls its columns, its units.
        columns: the target columns that hold numbers, in the order of the K of every array.

    Attributes:
        computed: column -> column of the molecule that it is a property of, for rows without a cell of their own.

    Raises:
        TaskError: a unit of a column that is none of them, or a computed one that is none or no property.
    """

    def __init__(self, config: TaskConfig, columns: Sequence[str]):
        self.columns, self._censored, self._aliases = list(columns), config.censored, config.data.columns
        self.computed = dict(config.computed)
        for column in self.computed:
            for known, noun in ((self.columns, "number of the target"), (PROPERTIES, "property")):
                if column not in known:
                    hint = did_you_mean(column, known, noun=noun)
                    raise TaskError(f"computed names {column!r}, which is no {noun}", hint=hint)
        for column in config.unit if isinstance(config.unit, Mapping) else ():
            if column not in self.columns:
                hint = did_you_mean(column, self.columns, noun="target column")
                raise TaskError(f"unit names {column!r}, which is no target", hint=hint)

    def of(self, row: Row) -> tuple[np.ndarray, np.ndarray]:
        """The row's numbers, NaN where missing, float64 [K], and where the truth lies
        (`mammal.tasks.targets.censored`), int8 [K].

        Raises:
            DataError: the row lacks a column, a cell holds no number, or there is no molecule to compute it from.
        """
        cells = [(column, self._cell(row, column)) for column in self.columns]
        read = [(np.nan, EXACT) if is_missing(value) else self._number(value, column) for column, value in cells]
        numbers, bounds = zip(*read, strict=True)
        return np.array(numbers, dtype=np.float64), np.array(bounds, dtype=np.int8)

    def table(self, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        """What `of` gives of every row, float64 and int8 [N, K]; NaN for a row that can't be read."""
        shape = (len(rows), len(self.columns))
        numbers_NK, bounds_NK = np.full(shape, np.nan), np.full(shape, EXACT, dtype=np.int8)
        for n, row in enumerate(rows):
            with suppress(DataError):
                numbers_NK[n], bounds_NK[n] = self.of(row)
        return numbers_NK, bounds_NK

    def fit(self, scales: Scales, rows: Sequence[Row]) -> None:
        """Fit the scale of each column on what was measured (bounds left out)."""
        numbers_NK, bounds_NK = self.table(rows)
        scales.fit(np.where(bounds_NK == EXACT, numbers_NK, np.nan))

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        """Truth beside answer of each column, over rows that have both; bounds are counted and not judged."""
        (truth_NK, bounds_NK), found = self.table(rows), {}
        for k, column in enumerate(self.columns):
            said = [None if p.error else p.for_target(column).value for p in predictions]
            known = [i for i, value in enumerate(said) if value is not None and not np.isnan(truth_NK[i, k])]
            kept = [i for i in known if bounds_NK[i, k] == EXACT]
            found[column] = Answers(
                truth_NK[kept, k],
                np.array([said[i] for i in kept], dtype=np.float64),
                rows_N=np.array(kept, dtype=np.int64),
                censored=len(known) - len(kept),
            )
        return found

    def _cell(self, row: Row, column: str) -> Any:
        """What the row says, or what its molecule has."""
        if column not in self.computed:
            return cell(row, column, self._aliases)
        given = row.get(column, row.get(self._aliases.get(column, column)))
        return (
            compute(as_required_text(row, self.computed[column], self._aliases), column) if is_missing(given) else given
        )

    def _number(self, value: Any, column: str) -> tuple[float, int]:
        if self._censored == "refuse":
            return as_number(value, column), EXACT
        number, bound = bounded_number(value, column)
        return number, bound if self._censored == "one_sided" else EXACT

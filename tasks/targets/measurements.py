"""Numbers in the target columns of rows: measured, bounded (`>10`), or missing.

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
from mammal.tasks.tables.cells import Row, as_number, as_required_text, cell, is_missing_label
from mammal.tasks.targets.censored import EXACT, bounded_number
from mammal.tasks.targets.scaling import Scales
from mammal.tokenization.errors import did_you_mean


class Measurements:
    """Reads the numbers of rows, in the unit of their file.

    Args:
        config: of the task; gives the handling of bounds, the names of the file's columns, and the units.
        columns: the target columns that hold numbers, in the order of axis K of every array.

    Attributes:
        computed: target column -> column of the molecule from which its value is computed if a row has no value.

    Raises:
        TaskError: `unit` or `computed` names a column that is not in `columns`, or a computed column is not the name of
            a property.
    """

    def __init__(self, config: TaskConfig, columns: Sequence[str]):
        self.columns, self._censored, self._aliases = list(columns), config.censored, config.data.columns
        self.computed = dict(config.computed)
        for column in self.computed:
            for known, noun in ((self.columns, "number of the target"), (PROPERTIES, "property")):
                if column not in known:
                    hint = did_you_mean(column, known, noun=noun)
                    raise TaskError(f"computed names {column!r}, which is not a {noun}", hint=hint)
        for column in config.unit if isinstance(config.unit, Mapping) else ():
            if column not in self.columns:
                hint = did_you_mean(column, self.columns, noun="target column")
                raise TaskError(f"unit names {column!r}, which is not a target", hint=hint)

    def of(self, row: Row) -> tuple[np.ndarray, np.ndarray]:
        """Reads the numbers of one row.

        Returns:
            The numbers, NaN if missing, float64 [K], and the positions of the truth
            (`mammal.tasks.targets.censored`), int8 [K].

        Raises:
            DataError: the row lacks a column, a cell is not a number, or the molecule to compute a value from is
                missing.
        """
        cells = [(column, self._cell(row, column)) for column in self.columns]
        read = [(np.nan, EXACT) if is_missing_label(value) else self._number(value, column) for column, value in cells]
        numbers, bounds = zip(*read, strict=True)
        return np.array(numbers, dtype=np.float64), np.array(bounds, dtype=np.int8)

    def table(self, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the result of `of` for every row, float64 and int8 [N, K]; NaN for a row that can't be read."""
        shape = (len(rows), len(self.columns))
        numbers_NK, bounds_NK = np.full(shape, np.nan), np.full(shape, EXACT, dtype=np.int8)
        for n, row in enumerate(rows):
            with suppress(DataError):
                numbers_NK[n], bounds_NK[n] = self.of(row)
        return numbers_NK, bounds_NK

    def fit(self, scales: Scales, rows: Sequence[Row]) -> None:
        """Fits the scale of each column on the measured numbers; bounds are left out.

        Args:
            scales: the scales to fit.
            rows: the training rows.
        """
        numbers_NK, bounds_NK = self.table(rows)
        scales.fit(np.where(bounds_NK == EXACT, numbers_NK, np.nan))

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        """Pairs truth and prediction for each column, over rows that have both.

        Args:
            predictions: one for each row.
            rows: the rows, with measured numbers.

        Returns:
            Column -> truth and predictions, in the unit of the file. Rows with a bound are counted in `censored` and
            not evaluated.
        """
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
        """The cell of the row; for a computed column without a cell, the property of the row's molecule."""
        if column not in self.computed:
            return cell(row, column, self._aliases)
        given = row.get(column, row.get(self._aliases.get(column, column)))
        return (
            compute(as_required_text(row, self.computed[column], self._aliases), column)
            if is_missing_label(given)
            else given
        )

    def _number(self, value: Any, column: str) -> tuple[float, int]:
        if self._censored == "refuse":
            return as_number(value, column), EXACT
        number, bound = bounded_number(value, column)
        return number, bound if self._censored == "one_sided" else EXACT

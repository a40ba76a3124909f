"""Numbers among the tokens of a generated target: reading from rows, decoder inputs and labels, generated values.

Each `<SCALAR>` of a target carries a number, standardised by the training rows. In training the decoder gets the true
numbers as input, at inference those that it predicted. A number that is missing or only bounded in a row is passed as a
`<SCALAR>` without a value, so that the tokens are the same in every row.
Shapes: K columns that hold numbers, S scalar slots of the target, T target tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mammal.tasks.batches.example import Target
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.molecules.properties import property_or_nan
from mammal.tasks.tables.cells import Row
from mammal.tasks.targets.censored import EXACT
from mammal.tasks.targets.measurements import Measurements
from mammal.tasks.targets.scaling import Scales
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.template import Template


class TargetNumbers:
    """The numbers of one task's target.

    Attributes:
        slots: column of each scalar slot, in the target's order.
        columns: these columns without repetition.
        measured: reader of the numbers of rows.
        scales: scales of the columns, fitted on training rows.

    Raises:
        TaskError: a unit is declared for a column that holds no number.
    """

    def __init__(self, config: TaskConfig, template: Template):
        asked = [slot for slot in template.slots if slot.part == "target"]
        self.slots = [slot.column for slot in asked if slot.kind == "scalar"]
        self.columns = list(dict.fromkeys(self.slots))
        self.measured = Measurements(config, self.columns)
        self.scales = Scales(config.name, self.columns, config.scale)
        self._alone = len(self.slots) == len(asked)

    def texts(self, row: Row) -> dict[str, str]:
        """Returns the texts of the number columns for writing the target: scaled numbers, 0 for missing ones.

        Raises:
            DataError: a cell is not a number, or all numbers of a target that consists only of numbers are missing.
        """
        scaled_K = self._scaled(self.measured.of(row)[0])
        return {c: f"{value:.9g}" for c, value in zip(self.columns, np.nan_to_num(scaled_K).tolist(), strict=True)}

    def carry(self, target: Target, encoding: Encoding, row: Row) -> Target:
        """Adds numbers to a target: the values that its tokens carry as decoder input, and the labels of these values.

        Args:
            target: labels at every token of `encoding`.
            encoding: the encoded target text.
            row: the row; its missing numbers are left out.
        """
        numbers_K, bounds_K = self.measured.of(row)
        column_S = [self.columns.index(column) for column in self.slots]
        places_S = np.flatnonzero(encoding.has_value_L)[: len(column_S)]
        column_S = column_S[: len(places_S)]  # a target that was cut
        known_S, bounds_S = ~np.isnan(numbers_K)[column_S], bounds_K[column_S]
        asked_T = np.full(len(encoding), np.nan, dtype=np.float32)
        asked_T[places_S[known_S]] = encoding.values_L[places_S[known_S]]
        has_value_T = np.zeros(len(encoding), dtype=bool)
        has_value_T[places_S] = known_S & (bounds_S == EXACT)
        bounds_T = np.zeros(len(encoding), dtype=np.int8)
        bounds_T[places_S] = bounds_S
        fed: dict[str, Any] = {"values_T": encoding.values_L, "has_value_T": has_value_T}
        if bounds_T.any():
            fed["bounds_R"] = bounds_T
        return replace(target, label_values_R=asked_T, **fed)

    def in_units(self, slots: Sequence[str], scaled: Sequence[float]) -> dict[str, float]:
        """Converts generated numbers to the file's unit.

        Args:
            slots: column of each scalar slot.
            scaled: generated numbers in the order of the slots; may be fewer than slots, NaN if missing.

        Returns:
            Column -> number; of several numbers of a column the first counts.
        """
        found: dict[str, float] = {}
        for column, value in zip(slots, scaled, strict=False):
            if not np.isnan(value):
                found.setdefault(column, self.scales[column].invert(float(value)))
        return found

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        """Pairs truth and generated number for each column.

        For a computed column, also returns the property of the generated molecule (`written_N`).

        Args:
            predictions: one for each row.
            rows: the rows, with measured numbers.
        """
        found = self.measured.answers(predictions, rows)
        for column, molecule in self.measured.computed.items():
            texts = [predictions[n].for_target(molecule).text for n in found[column].numbers_N.tolist()]
            written_N = np.array([property_or_nan(text or "", column) for text in texts], dtype=np.float64)
            found[column] = replace(found[column], written_N=written_N)
        return found

    def fit(self, rows: Sequence[Row]) -> None:
        """Fits mean and standard deviation of each column on the measured numbers of training rows, unless declared."""
        self.measured.fit(self.scales, rows)

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.scales.load_state(state)

    def _scaled(self, numbers_K: np.ndarray) -> np.ndarray:
        if self._alone and np.isnan(numbers_K).all():
            raise DataError("empty cell", where=f"column {', '.join(self.columns)}")
        return self.scales.apply(numbers_K)

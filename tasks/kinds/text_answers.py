"""Pairs of the true and the generated text of each row, from which metrics are computed. Shapes: N rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.errors import DataError
from mammal.tasks.infilling.task_mixin import FillsIn
from mammal.tasks.metrics.answers import Answers, object_array
from mammal.tasks.molecules.properties import PROPERTIES
from mammal.tasks.tables.cells import Row, cell, is_missing


class TextAnswers(FillsIn):
    """Compares generated texts with the target columns of their rows."""

    def _text_answers(self, column: str, predictions: Sequence[Prediction], rows: Sequence[Row]) -> Answers:
        pairs = []
        for n, (prediction, row) in enumerate(zip(predictions, rows, strict=True)):
            if prediction.error is None and not is_missing(cell(row, column, self.config.data.columns)):
                pairs.append((n, self._truth(row, column), prediction.for_target(column).text))
        kept = [(n, truth, answer) for n, truth, answer in pairs if answer is not None and truth is not None]
        numbers, truths, answered = zip(*kept, strict=True) if kept else ((), (), ())
        return Answers(
            np.array(truths, dtype=object),
            np.array(answered, dtype=object),
            rows_N=np.array(numbers, dtype=np.int64),
            ranked_N=_ranked([predictions[n] for n in numbers], column),
            asked_N=self._asked([rows[n] for n in numbers]),
            conditions=self._asked_properties(column, [rows[n] for n in numbers]),
            whole_N=self._whole([predictions[n] for n in numbers]),
        )

    def _whole(self, predictions: Sequence[Prediction]) -> np.ndarray | None:
        """The completed sequence of each answer, "" if there is none; None if the task does not fill in one column."""
        if len(self.fills) != 1:
            return None
        return object_array([(said.completed or {}).get(self.fills[0], "") for said in predictions])

    def _asked_properties(self, column: str, rows: Sequence[Row]) -> dict[str, np.ndarray] | None:
        """Property -> requested value of each row, NaN if not requested; None if the task has no such condition."""
        names = [name for name in self.steering.numbers if name in PROPERTIES]
        if column not in self.molecules or not names:
            return None
        asked = [self.steering.asked(row) for row in rows]
        return {name: np.array([row.get(name, np.nan) for row in asked], dtype=np.float64) for name in names}

    def _asked(self, rows: Sequence[Row]) -> np.ndarray | None:
        """SMILES of each row's input molecule, None if it can't be read; None if prompts don't read exactly one."""
        read = [column for column in self.columns if column in self.molecules]
        return object_array([self._truth(row, read[0]) for row in rows]) if len(read) == 1 else None

    def _truth(self, row: Row, column: str) -> str | None:
        """A cell as text; None if it can't be read."""
        try:
            return self._text(row, column)
        except DataError:
            return None


def _ranked(predictions: Sequence[Prediction], column: str) -> np.ndarray | None:
    """The texts of each row, best first; None if no row has more than one."""
    if not any(prediction.runners_up for prediction in predictions):
        return None
    every = [(prediction, *prediction.runners_up) for prediction in predictions]
    return object_array([tuple(said.for_target(column).text or "" for said in row) for row in every])

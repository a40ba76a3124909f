"""Regression: numbers read by the scalar head, at `<MASK>` in the encoder or at a `<SCALAR>` of the decoder's target.

Several `{y:scalar}` slots make a multi-target task; a row's missing numbers are masked out of the loss.
Shapes: B rows, K target columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from mammal.tasks.batch import IGNORE, Batch, ModelOutput
from mammal.tasks.calibration import ConformalInterval
from mammal.tasks.cells import Row, as_number, cell, is_missing
from mammal.tasks.errors import DataError
from mammal.tasks.example import Example, Target
from mammal.tasks.losses import value_loss
from mammal.tasks.metrics import Answers
from mammal.tasks.prediction import Prediction
from mammal.tasks.scaling import Scale
from mammal.tasks.schema import TaskConfig
from mammal.tasks.task import Task, unfitted
from mammal.tokenization.encoding import Encoding

if TYPE_CHECKING:
    from mammal.tokenization.tokenizer import Tokenizer


class RegressionTask(Task):
    """One number, or several, for each row."""

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        given = config.scale.mean is not None or config.scale.std is not None
        fixed = Scale(config.scale.mean or 0.0, config.scale.std or 1.0)
        self.scales: dict[str, Scale | None] = dict.fromkeys(self.target_columns, fixed if given else None)
        self.fixed_scale = given
        self.conformal: dict[str, ConformalInterval] = {}
        self._frame = self._target_frame() if self.mode == "decoder" else None

    @property
    def wants(self) -> tuple[str, ...]:
        return ("values",)

    def prepare_target(self, row: Row) -> dict[str, str]:
        """Scaled numbers; a column without one is left out."""
        known = {c: v for c, v in zip(self.target_columns, self._numbers(row), strict=True) if not np.isnan(v)}
        return {c: f"{self._scale(c).apply(v):.9g}" for c, v in known.items()}

    def example(
        self, row_id: object, row: Row, encoding: Encoding, target_text: Encoding | None, *, target: bool
    ) -> Example:
        scaled_K = self._scaled(row) if target else None
        if self._frame is None:
            return Example(row_id, encoding, read_R=self.mask_positions(encoding), label_values_R=scaled_K)
        return Example(row_id, encoding, targets=(self._decoder_target(self._frame, scaled_K),))

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        assert output.values_DR is not None and batch.label_values_DR is not None, "a training batch holds values"
        return value_loss(output.values_DR, batch.label_values_DR, self.config.loss)

    def decode(self, output: ModelOutput, batch: Batch) -> list[Prediction]:
        assert output.values_DR is not None, "regression wants values"
        values_BK = output.values_DR.detach().float().cpu().double().numpy()
        return [self._prediction(row_id, values_K) for row_id, values_K in zip(batch.row_ids, values_BK, strict=True)]

    def fit(self, rows: Sequence[Row]) -> None:
        """Mean and standard deviation of each target over the training rows, unless the declaration gives them."""
        super().fit(rows)
        self.conformal = {}
        if self.fixed_scale:
            return
        numbers_NK = self.truths(rows)
        for k, column in enumerate(self.target_columns):
            self.scales[column] = Scale.fit(numbers_NK[:, k], column)

    def calibrate(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> None:
        """Split-conformal intervals from validation rows."""
        fitted = {c: ConformalInterval.fit(a.truth_N, a.answer_N) for c, a in self.answers(predictions, rows).items()}
        self.conformal = {column: interval for column, interval in fitted.items() if interval is not None}

    def state(self) -> dict[str, Any]:
        scales = {c: s.state() for c, s in self.scales.items() if s is not None}
        conformal = {c: i.state() for c, i in self.conformal.items()}
        return super().state() | {"unit": self.config.unit, "scales": scales, "conformal": conformal}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        for column, scale in state.get("scales", {}).items():
            self.scales[column] = Scale(float(scale["mean"]), float(scale["std"]))
        self.conformal = {c: ConformalInterval.from_state(i) for c, i in state.get("conformal", {}).items()}

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        truth_NK, found = self.truths(rows), {}
        for k, column in enumerate(self.target_columns):
            said = [None if p.error else p.for_target(column).value for p in predictions]
            kept = [i for i, value in enumerate(said) if value is not None and not np.isnan(truth_NK[i, k])]
            found[column] = Answers(truth_NK[kept, k], np.array([said[i] for i in kept], dtype=np.float64))
        return found

    def truths(self, rows: Sequence[Row]) -> np.ndarray:
        """The rows' numbers in the file's unit, float64 [N, K]; NaN where a cell is empty or holds no number."""
        found_NK = np.full((len(rows), len(self.target_columns)), np.nan)
        for n, row in enumerate(rows):
            with suppress(DataError):
                found_NK[n] = self._numbers(row)
        return found_NK

    def _numbers(self, row: Row) -> np.ndarray:
        """The row's numbers in the file's unit, NaN where missing, float64 [K]."""
        cells = [(column, cell(row, column, self.config.data.columns)) for column in self.target_columns]
        return np.array([np.nan if is_missing(v) else as_number(v, c) for c, v in cells], dtype=np.float64)

    def _scaled(self, row: Row) -> np.ndarray:
        numbers_K = self._numbers(row)
        if np.isnan(numbers_K).all():
            raise DataError("empty cell", where=f"column {', '.join(self.target_columns)}")
        scaled = [self._scale(c).apply(v) for c, v in zip(self.target_columns, numbers_K, strict=True)]
        return np.array(scaled, dtype=np.float32)

    def _scale(self, column: str) -> Scale:
        scale = self.scales[column]
        if scale is None:
            raise unfitted(self.name, f"label {column!r}")
        return scale

    def _prediction(self, row_id: object, values_K: np.ndarray) -> Prediction:
        answers = {}
        for column, scaled in zip(self.target_columns, values_K, strict=True):
            value = self._scale(column).invert(float(scaled))
            conformal = self.conformal.get(column)
            interval = conformal.around(value) if conformal else None
            answers[column] = Prediction(row_id, value=value, interval=interval)
        return answers[self.target_columns[0]] if len(answers) == 1 else Prediction(row_id, by_target=answers)

    def _target_frame(self) -> Encoding:
        """The encoded target with zeros for numbers; only its values change from row to row."""
        dummies = dict.fromkeys(self.columns, "C") | dict.fromkeys(self.template.columns(), "0")
        prompt = self.template.render(dummies, target=True)
        return self.tokenizer.encode(str(prompt.target))

    def _decoder_target(self, frame: Encoding, scaled_K: np.ndarray | None) -> Target:
        read_R = np.flatnonzero(frame.has_value_L)
        values_T = np.zeros(len(frame), dtype=np.float32)
        if scaled_K is None:
            return Target(frame.ids_L, read_R, None, values_T, frame.has_value_L)
        values_T[read_R] = scaled_K
        return Target(frame.ids_L, read_R, np.full(len(read_R), IGNORE), values_T, frame.has_value_L)

"""Regression: numbers read by the scalar head, at `<MASK>` in the encoder or at a `<SCALAR>` of the decoder's target.

Several `{y:scalar}` slots make a multi-target task; a row's missing numbers are masked out of the loss. In the decoder
they are read all at once, or with `chain` one after the other, each seeing those before it: the true ones in training,
the predicted ones after. A cell such as `>10` bounds the number: the loss is then one-sided, and the row is not judged.
Shapes: B rows, N rows of a table, K target columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from mammal.tasks.batches.batch import IGNORE, Batch, ModelOutput
from mammal.tasks.batches.example import Example, Target
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.tables.cells import Row
from mammal.tasks.targets.calibration import ConformalInterval
from mammal.tasks.targets.censored import EXACT
from mammal.tasks.targets.losses import value_loss
from mammal.tasks.targets.measurements import Measurements
from mammal.tasks.targets.scaling import Scales
from mammal.tasks.task import Task
from mammal.tokenization.encoding import Encoding

if TYPE_CHECKING:
    from mammal.tokenization.tokenizer import Tokenizer


class RegressionTask(Task):
    """One number, or several, for each row."""

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        _check_target(self)
        self.measured = Measurements(config, self.target_columns)
        self.scales = Scales(config.name, self.target_columns, config.scale)
        self.conformal: dict[str, ConformalInterval] = {}
        self._frame = self._target_frame() if self.mode == "decoder" else None

    @property
    def wants(self) -> tuple[str, ...]:
        return ("values",)

    def prepare_target(self, row: Row) -> dict[str, str]:
        """Scaled numbers; a column without one is left out, and of a bound the number is taken."""
        numbers = zip(self.target_columns, self.measured.of(row)[0].tolist(), strict=True)
        return {c: f"{self.scales[c].apply(v, c):.9g}" for c, v in numbers if not np.isnan(v)}

    def example(
        self,
        row_id: object,
        row: Row,
        encoding: Encoding,
        target_text: Encoding | None,
        *,
        target: bool,
        judged: bool = False,
    ) -> Example:
        scaled_K, bounds_K = self._labels(row) if target else (None, None)
        if self._frame is not None:
            told = self._chained and target and not judged
            fed_K = _exact(scaled_K, bounds_K) if told and scaled_K is not None else None
            asked = _chained_target(self._frame, fed_K) if self._chained else _apart_target(self._frame)
            return Example(row_id, encoding, targets=(_labelled(asked, scaled_K, bounds_K),))
        read_R = self.mask_positions(encoding)
        return Example(row_id, encoding, read_R=read_R, label_values_R=scaled_K, label_bounds_R=bounds_K)

    @property
    def _chained(self) -> bool:
        return self.config.chain and len(self.target_columns) > 1

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        assert output.values_DR is not None and batch.label_values_DR is not None, "a training batch holds values"
        return value_loss(output.values_DR, batch.label_values_DR, self.config.loss, batch.label_bounds_DR)

    def decode(self, output: ModelOutput, batch: Batch) -> list[Prediction]:
        assert output.values_DR is not None, "regression wants values"
        values_BK = output.values_DR.detach().float().cpu().double().numpy()
        return [self._prediction(row_id, values_K) for row_id, values_K in zip(batch.row_ids, values_BK, strict=True)]

    def fit(self, rows: Sequence[Row]) -> None:
        """Mean and standard deviation of each target over the measured numbers of the training rows (bounds left out),
        unless the declaration gives them."""
        super().fit(rows)
        self.conformal = {}
        self.measured.fit(self.scales, rows)

    def calibrate(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> None:
        """Split-conformal intervals from validation rows, of equal width where the scale is linear (`scale.log`).

        Rows whose number has no logarithm teach a logarithmic scale nothing.
        """
        self.conformal = {}
        for column, every in self.answers(predictions, rows).items():
            answers = every.take(np.flatnonzero(every.truth_N > 0)) if self.scales[column].log else every
            line = np.vectorize(self.scales[column].line, otypes=[np.float64])
            fitted = ConformalInterval.fit(line(answers.truth_N), line(answers.answer_N)) if len(answers) else None
            if fitted is not None:
                self.conformal[column] = fitted

    def state(self) -> dict[str, Any]:
        conformal = {c: i.state() for c, i in self.conformal.items()}
        return super().state() | {"unit": self.config.unit, "scales": self.scales.state(), "conformal": conformal}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self.scales.load_state(state.get("scales", {}))
        self.conformal = {c: ConformalInterval.from_state(i) for c, i in state.get("conformal", {}).items()}

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        return self.measured.answers(predictions, rows)

    def truths(self, rows: Sequence[Row]) -> np.ndarray:
        """The rows' numbers in the file's unit, float64 [N, K]; NaN where a cell is empty or holds no number.

        A bound stands as its number, which is all that most other models can learn from.
        """
        return self.measured.table(rows)[0]

    def _labels(self, row: Row) -> tuple[np.ndarray, np.ndarray | None]:
        """Scaled numbers of a row that has at least one, and where the truth lies if that is not at all of them."""
        numbers_K, bounds_K = self.measured.of(row)
        if np.isnan(numbers_K).all():
            raise DataError("empty cell", where=f"column {', '.join(self.target_columns)}")
        return self.scales.apply(numbers_K), bounds_K if bounds_K.any() else None

    def _prediction(self, row_id: object, values_K: np.ndarray) -> Prediction:
        answers = {}
        for column, scaled in zip(self.target_columns, values_K, strict=True):
            scale, conformal = self.scales[column], self.conformal.get(column)
            value, interval = scale.invert(float(scaled)), None
            if conformal is not None:
                low, high = conformal.around(scale.line(value, column))
                interval = scale.back(low), scale.back(high)
            answers[column] = Prediction(row_id, value=value, interval=interval)
        return answers[self.target_columns[0]] if len(answers) == 1 else Prediction(row_id, by_target=answers)

    def _target_frame(self) -> Encoding:
        """The encoded target with zeros for numbers; only its values change from row to row."""
        dummies = dict.fromkeys(self.template.columns(), "0")
        prompt = self.template.render(dummies, target=True)
        return self.tokenizer.encode(str(prompt.target))


def _check_target(task: RegressionTask) -> None:
    """Refuses a target that holds anything but one slot for each number."""
    slots = [slot for slot in task.template.slots if slot.part == "target"]
    for number, slot in enumerate(slots):
        if slot.kind != "scalar":
            hint = f"{{{slot.column}:scalar}}; numbers among text are generated: kind: generation"
            raise TaskError(f"a regression can't answer {slot.column!r} as {slot.name or slot.kind}", hint=hint)
        if slot.column in [earlier.column for earlier in slots[:number]]:
            raise TaskError(f"the target asks for {slot.column!r} twice", hint="each number has one slot")


def _apart_target(frame: Encoding) -> Target:
    """The frame with zeros in place of all numbers, in training as at inference, so that none leans on another."""
    read_R = np.flatnonzero(frame.has_value_L)
    return Target(frame.ids_L, read_R, None, np.zeros(len(frame), np.float32), frame.has_value_L)


def _chained_target(frame: Encoding, fed_K: np.ndarray | None) -> Target:
    """The frame with each known number on its token; None: those are fed back that the model predicts."""
    read_R = np.flatnonzero(frame.has_value_L)
    values_T, has_value_T = np.zeros(len(frame), np.float32), np.zeros(len(frame), bool)
    if fed_K is not None:
        values_T[read_R], has_value_T[read_R] = np.nan_to_num(fed_K), ~np.isnan(fed_K)
    return Target(frame.ids_L, read_R, None, values_T, has_value_T, feeds_back=fed_K is None)


def _exact(scaled_K: np.ndarray, bounds_K: np.ndarray | None) -> np.ndarray:
    """The numbers without those that are bounds, which are not what the truth is."""
    return scaled_K if bounds_K is None else np.where(bounds_K == EXACT, scaled_K, np.nan)


def _labelled(asked: Target, scaled_K: np.ndarray | None, bounds_K: np.ndarray | None) -> Target:
    if scaled_K is None:
        return asked
    return replace(asked, labels_R=np.full(len(asked.read_R), IGNORE), label_values_R=scaled_K, bounds_R=bounds_K)

"""Regression tasks: the scalar head predicts numbers, at `<MASK>` in the encoder or at `<SCALAR>` in the decoder.

All tasks of a model share that head; with `own_head`, a task in the encoder has one of its own.
Several `{y:scalar}` slots make a multi-target task; missing numbers of a row are excluded from the loss. In the decoder
all numbers are predicted at once. With `chain` they are predicted one after the other, each with the earlier ones as
input: the true numbers in training, the predicted ones at inference. A cell such as `>10` is a bound on the number: the
loss is then one-sided, and the row is not evaluated.
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
from mammal.tasks.probes.target import ProbeTarget
from mammal.tasks.tables.cells import Row
from mammal.tasks.targets.censored import EXACT
from mammal.tasks.targets.conformal import ConformalInterval
from mammal.tasks.targets.losses import value_loss
from mammal.tasks.targets.measurements import Measurements
from mammal.tasks.targets.members import mean_and_spread
from mammal.tasks.targets.scaling import Scales
from mammal.tasks.task import Task
from mammal.tokenization.encoding import Encoding

if TYPE_CHECKING:
    from mammal.tokenization.tokenizer import Tokenizer


class RegressionTask(Task):
    """A task that predicts one or several numbers for each row."""

    has_probes = True

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        _check_target(self)
        self.measured = Measurements(config, self.target_columns)
        self.scales = Scales(config.name, self.target_columns, config.scale)
        self.conformal: dict[str, ConformalInterval] = {}
        self._frame = self._target_frame() if self.mode == "decoder" else None

    @property
    def wants(self) -> tuple[str, ...]:
        return ("values",) if self.probes is None else ("pooled",)

    @property
    def head(self) -> str | None:
        """Name of the head of this task alone; None: the scalar head."""
        return self._head_name("numbers") if self.config.own_head else None

    @property
    def head_widths(self) -> Mapping[str, int]:
        return {} if self.head is None else {self.head: 1}

    def prepare_target(self, row: Row) -> dict[str, str]:
        """Returns the scaled numbers as text; missing ones are left out, and a bound is treated as its number."""
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
            feeds = self._chained and target and not judged
            fed_K = _exact(scaled_K, bounds_K) if feeds and scaled_K is not None else None
            asked = _chained_target(self._frame, fed_K) if self._chained else _apart_target(self._frame)
            return Example(row_id, encoding, targets=(_labelled(asked, scaled_K, bounds_K),))
        read_R = self.mask_positions(encoding)
        return Example(row_id, encoding, read_R=read_R, label_values_R=scaled_K, label_bounds_R=bounds_K)

    def collate(self, examples: Sequence[Example]) -> Batch:
        batch = super().collate(examples)
        return batch if self.head is None or self.probes is not None else replace(batch, vectors=(self.head,))

    @property
    def _chained(self) -> bool:
        return self.config.chain and len(self.target_columns) > 1

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        assert output.values_DR is not None and batch.label_values_DR is not None, "a training batch holds values"
        return value_loss(output.values_DR, batch.label_values_DR, self.config.loss, batch.label_bounds_DR)

    def decode(self, output: ModelOutput, batch: Batch) -> list[Prediction]:
        if self.probes is not None:
            values_BK, spreads_BK = self.probes.values(output, batch)
        else:
            values_BK, spreads_BK = mean_and_spread([_numbers(one) for one in output.members or (output,)])
        rows = zip(batch.row_ids, values_BK, spreads_BK, strict=True)
        return [self._prediction(row_id, values_K, spreads_K) for row_id, values_K, spreads_K in rows]

    def fit(self, rows: Sequence[Row]) -> None:
        """Fits mean and standard deviation of each target on the measured numbers of training rows, unless declared.

        Bounds are left out.
        """
        super().fit(rows)
        self.conformal = {}
        self.measured.fit(self.scales, rows)

    def calibrate(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> None:
        """Fits split-conformal intervals on validation rows; with `scale.log`, they have equal width in logarithms.

        If the predictions have a `similarity` or a `spread`, the width can depend on them. With `scale.log`, rows with
        a number of 0 or less are left out.
        """
        self.conformal = {}
        for column, every in self.answers(predictions, rows).items():
            answers = every.take(np.flatnonzero(every.truth_N > 0)) if self.scales[column].log else every
            if not len(answers):
                continue
            line = np.vectorize(self.scales[column].line, otypes=[np.float64])
            said = [predictions[i] for i in answers.numbers_N.tolist()]
            fitted = ConformalInterval.fit(
                line(answers.truth_N),
                line(answers.answer_N),
                similarity_N=_known([one.similarity for one in said]),
                spread_N=_known([one.for_target(column).spread for one in said]),
            )
            if fitted is not None:
                self.conformal[column] = fitted

    @property
    def uses_similarity(self) -> bool:
        return any(one.difficulty is not None and one.difficulty.distance > 0 for one in self.conformal.values())

    def placed(self, prediction: Prediction) -> Prediction:
        """Returns a prediction with the interval that belongs to its similarity to the training rows."""
        if prediction.error is not None or not self.conformal:
            return prediction
        if prediction.by_target is None:
            return replace(prediction, interval=self._interval(self.target_columns[0], prediction, prediction))
        answers = {
            column: replace(one, interval=self._interval(column, one, prediction))
            for column, one in prediction.by_target.items()
        }
        return replace(prediction, by_target=answers)

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
        """Returns the numbers of rows in the file's unit, float64 [N, K]; NaN if a cell is empty or not a number.

        A bound is returned as its number, because most other models can't use bounds.
        """
        return self.measured.table(rows)[0]

    def probe_columns(self, rows: Sequence[Row]) -> dict[str, ProbeTarget]:
        """Returns the scaled numbers of each target column, NaN for bounds and for numbers without a logarithm."""
        numbers_NK, bounds_NK = self.measured.table(rows)
        found = {}
        for k, column in enumerate(self.target_columns):
            scale, numbers_N = self.scales[column], np.where(bounds_NK[:, k] == EXACT, numbers_NK[:, k], np.nan)
            usable_N = numbers_N > 0 if scale.log else ~np.isnan(numbers_N)
            truth_N = np.full(len(rows), np.nan)
            truth_N[usable_N] = [scale.apply(value, column) for value in numbers_N[usable_N].tolist()]
            found[column] = ProbeTarget(truth_N, self._first_metric, back=scale.invert)
        return found

    @property
    def _first_metric(self) -> str:
        return self.config.metrics[0] if self.config.metrics else "rmse"

    def _labels(self, row: Row) -> tuple[np.ndarray, np.ndarray | None]:
        """Scaled numbers of a row that has at least one, and their bounds; None if no number is a bound."""
        numbers_K, bounds_K = self.measured.of(row)
        if np.isnan(numbers_K).all():
            raise DataError("empty cell", where=f"column {', '.join(self.target_columns)}")
        return self.scales.apply(numbers_K), bounds_K if bounds_K.any() else None

    def _prediction(self, row_id: object, values_K: np.ndarray, spreads_K: np.ndarray) -> Prediction:
        answers = {}
        for column, scaled, spread in zip(self.target_columns, values_K, spreads_K.tolist(), strict=True):
            scale = self.scales[column]
            on_line = None if np.isnan(spread) else spread * scale.std
            answers[column] = Prediction(row_id, value=scale.invert(float(scaled)), spread=on_line)
        if len(answers) == 1:
            return self.placed(answers[self.target_columns[0]])
        return self.placed(Prediction(row_id, by_target=answers))

    def _interval(self, column: str, answer: Prediction, row: Prediction) -> tuple[float, float] | None:
        """The interval of an answer; `row` has the similarity of its row."""
        conformal, scale = self.conformal.get(column), self.scales[column]
        if conformal is None or answer.value is None:
            return None
        low, high = conformal.around(scale.line(answer.value, column), row.similarity, answer.spread)
        return scale.back(low), scale.back(high)

    def _target_frame(self) -> Encoding:
        """The encoded target with zeros as numbers; only its values differ between rows."""
        dummies = dict.fromkeys(self.template.columns(), "0")
        prompt = self.template.render(dummies, target=True)
        return self.tokenizer.encode(str(prompt.target))


def _numbers(output: ModelOutput) -> np.ndarray:
    """Numbers of the scalar head, float32 [B, K]."""
    assert output.values_DR is not None, "regression wants values"
    return output.values_DR.detach().float().cpu().numpy()


def _known(numbers: Sequence[float | None]) -> np.ndarray | None:
    """The numbers, float [N]; None if one of them is not known."""
    return None if any(number is None for number in numbers) else np.array(numbers, dtype=np.float64)


def _check_target(task: RegressionTask) -> None:
    """Raises an error if the target has anything but one slot for each number."""
    slots = [slot for slot in task.template.slots if slot.part == "target"]
    for number, slot in enumerate(slots):
        if slot.kind != "scalar":
            hint = f"{{{slot.column}:scalar}}; numbers among text are generated: kind: generation"
            raise TaskError(f"a regression can't answer {slot.column!r} as {slot.name or slot.kind}", hint=hint)
        if slot.column in [earlier.column for earlier in slots[:number]]:
            raise TaskError(f"the target asks for {slot.column!r} twice", hint="each number has one slot")


def _apart_target(frame: Encoding) -> Target:
    """The frame with zeros as numbers, in training and at inference, so that numbers don't depend on each other."""
    read_R = np.flatnonzero(frame.has_value_L)
    return Target(frame.ids_L, read_R, None, np.zeros(len(frame), np.float32), frame.has_value_L)


def _chained_target(frame: Encoding, fed_K: np.ndarray | None) -> Target:
    """The frame with each known number on its token; None: predicted numbers are fed back instead."""
    read_R = np.flatnonzero(frame.has_value_L)
    values_T, has_value_T = np.zeros(len(frame), np.float32), np.zeros(len(frame), bool)
    if fed_K is not None:
        values_T[read_R], has_value_T[read_R] = np.nan_to_num(fed_K), ~np.isnan(fed_K)
    return Target(frame.ids_L, read_R, None, values_T, has_value_T, feeds_back=fed_K is None)


def _exact(scaled_K: np.ndarray, bounds_K: np.ndarray | None) -> np.ndarray:
    """The numbers, with NaN for bounds, because a bound is not the true number."""
    return scaled_K if bounds_K is None else np.where(bounds_K == EXACT, scaled_K, np.nan)


def _labelled(asked: Target, scaled_K: np.ndarray | None, bounds_K: np.ndarray | None) -> Target:
    if scaled_K is None:
        return asked
    return replace(asked, labels_R=np.full(len(asked.read_R), IGNORE), label_values_R=scaled_K, bounds_R=bounds_K)

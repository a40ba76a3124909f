"""Predictions of several tasks that read the same columns, in one walk over the rows.

A row is encoded once for all tasks whose prompts of it are equal. The encoder of the model runs once on a batch for all
tasks whose encoded inputs of the batch are equal, whether their heads read states of the encoder or of the decoder.
Tasks with other inputs, such as a task that refuses a row of the batch, have a pass of their own.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from mammal.inference.predict import batch_predictions, prediction_of_row
from mammal.rows.batched import Encoded, Encoder, Progress, Refused, Row, TaskEncoder
from mammal.rows.run_model import run
from mammal.tasks.batches.batch import Batch
from mammal.tasks.batches.example import Example
from mammal.tasks.batches.prediction import Prediction

if TYPE_CHECKING:
    from mammal.inference.questions import Predict
    from mammal.model.states import Memory
    from mammal.tasks.batches.row_examples import KnownInputs
    from mammal.tasks.task import Task
    from mammal.tokenization.encoding import Encoding


def group_key(task: Task) -> Hashable:
    """Returns a key of a task. Tasks with equal keys read the same columns into the same prompt.

    Args:
        task: the task.
    """
    prompt = task.config.prompt
    return tuple(TaskEncoder(task).read), prompt.input, prompt.raw


@dataclass(frozen=True)
class SharedExample(Example):
    """One row, encoded for several tasks. As an example, it is that of the first task that can read the row.

    Attributes:
        each: for each task its example, or the reason why it can't read the row.
    """

    each: tuple[Example | str, ...] = ()

    @property
    def is_cut(self) -> bool:
        return any(example.is_cut for example in self.each if isinstance(example, Example))

    @property
    def tokens(self) -> int:
        """Tokens of the task that reads most of them: one batch is made for all tasks."""
        return max(example.tokens for example in self.each if isinstance(example, Example))


@dataclass(frozen=True)
class SharedBatch(Batch):
    """Rows of several tasks. As a batch, it is that of the first task that can read any of the rows.

    Attributes:
        each: for each task the batch of the rows that it can read; None if it can read none of them.
        reasons: for each row, the reason of each task that can't read it, None of the others.
    """

    each: tuple[Batch | None, ...] = ()
    reasons: tuple[tuple[str | None, ...], ...] = ()


@dataclass(frozen=True)
class SharedEncoder(Encoder):
    """Encodes rows for several tasks with equal `group_key`.

    Attributes:
        each: the encoder of each task, at least one.
    """

    each: tuple[TaskEncoder, ...]

    def key(self, row: Row) -> Hashable:
        return self.each[0].key(row)

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        known: KnownInputs = {}
        found: list[dict[object, Example | str]] = []
        for encoder in self.each:
            examples, errors = encoder.encode_with(rows, row_ids, known)
            found.append({**dict(errors), **{example.row_id: example for example in examples}})
        shared: list[Example] = []
        refused: list[tuple[object, str]] = []
        for row_id in row_ids:
            each = tuple(of_task[row_id] for of_task in found)
            encoding = _first_encoding(each)
            if encoding is None:
                refused.append((row_id, json.dumps(each)))
            else:
                shared.append(SharedExample(row_id, encoding, each=each))
        return shared, refused

    def collate(self, examples: Sequence[Example]) -> SharedBatch:
        rows = [example.each for example in examples if isinstance(example, SharedExample)]
        each: list[Batch | None] = []
        for place, encoder in enumerate(self.each):
            read = [found for row in rows if isinstance(found := row[place], Example)]
            each.append(encoder.collate(read) if read else None)
        first = next(batch for batch in each if batch is not None)
        own: dict[str, Any] = {field.name: getattr(first, field.name) for field in fields(Batch)}
        reasons = tuple(tuple(found if isinstance(found, str) else None for found in row) for row in rows)
        return SharedBatch(**own, each=tuple(each), reasons=reasons)


def _first_encoding(each: Sequence[Example | str]) -> Encoding | None:
    return next((example.input for example in each if isinstance(example, Example)), None)


def predict_together(
    questions: Sequence[Predict],
    encoder: Encoder,
    rows: Sequence[Row],
    *,
    progress: Progress | None = None,
    cut: set[int] | None = None,
) -> list[list[Prediction]]:
    """Predicts the targets of several tasks of one model for every row.

    Args:
        questions: one for each task. The tasks have equal `group_key`s, and their answers are not generated.
        encoder: a `SharedEncoder` of these tasks, or one that encodes the same in other processes.
        rows: one mapping from columns to values per row.
        progress: function that is called with the number of rows that were just answered.
        cut: gets the positions of rows that are longer than a limit of any task.

    Returns:
        For each task, one prediction for each row, as `mammal.inference.predict.predict_rows` returns them.
    """

    def answer(batch: Batch) -> list[list[Prediction | Refused]]:
        assert isinstance(batch, SharedBatch), "a SharedEncoder makes them"
        return _answers(questions, batch)

    first = questions[0]
    answers = run(first.model, rows, encoder, answer, first.pace, progress, cut=cut)
    each = [_of_every_task(given, len(questions)) for given in answers]
    return [
        [prediction_of_row(row_id, given[place]) for row_id, given in enumerate(each)]
        for place in range(len(questions))
    ]


def _of_every_task(given: Sequence[Prediction | Refused] | Refused, tasks: int) -> Sequence[Prediction | Refused]:
    """The answers of all tasks to a row. The reasons of a row that no task can read are written as one text."""
    if not isinstance(given, Refused):
        return given
    reasons = [Refused(reason) for reason in json.loads(given.reason)]
    assert len(reasons) == tasks, "a SharedEncoder gives one reason for each task"
    return reasons


def _answers(questions: Sequence[Predict], batch: SharedBatch) -> list[list[Prediction | Refused]]:
    """For each row of a batch, the answer of each task."""
    passes: list[tuple[Batch, Memory]] = []
    said = [iter(_decoded(one, own, passes)) for one, own in zip(questions, batch.each, strict=True)]
    return [
        [next(answers) if reason is None else Refused(reason) for answers, reason in zip(said, reasons, strict=True)]
        for reasons in batch.reasons
    ]


def _decoded(question: Predict, batch: Batch | None, passes: list[tuple[Batch, Memory]]) -> Sequence[Prediction]:
    """The answers of a task. States of the encoder are taken from `passes` if it has equal inputs, else added to it."""
    if batch is None:
        return []
    model = question.model
    moved = batch.to(model.device)
    memory = next((states for other, states in passes if _same_inputs(other, batch)), None)
    if memory is None:
        memory = model.encode(moved)
        passes.append((batch, memory))
    how: dict[str, Any] = {"near": question.near, "nearest": question.nearest, "mc_dropout": question.mc_dropout}
    return batch_predictions(model, question.task, moved, memory, **how)


def _same_inputs(one: Batch, other: Batch) -> bool:
    """Whether the encoder reads the same of two batches."""
    pairs = [
        (one.ids_BL, other.ids_BL),
        (one.mask_BL, other.mask_BL),
        (one.values_BL, other.values_BL),
        (one.has_value_BL, other.has_value_BL),
    ]
    if [place[:3] for place in one.embeddings] != [place[:3] for place in other.embeddings]:
        return False
    pairs += [(mine[3], theirs[3]) for mine, theirs in zip(one.embeddings, other.embeddings, strict=True)]
    return all(
        mine is theirs or (mine is not None and theirs is not None and torch.equal(mine, theirs))
        for mine, theirs in pairs
    )

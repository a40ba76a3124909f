"""Runs a model on any number of rows: predict, embed and score (see `mammal.generation.rows` to generate).

Each function uses `mammal.rows.batched.walk` and only defines what is done with one batch.
Shapes: as in `mammal.tasks.batches.batch`; N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mammal.decoding.likelihood import sequence_log_likelihood
from mammal.generation.rows import generate_rows
from mammal.generation.samples import Sample, sample_prediction
from mammal.generation.settings import declared_generation, declared_rules
from mammal.inference.dropout_spread import with_dropout_spread
from mammal.model.model import MammalModel
from mammal.model.states import Memory
from mammal.rows.batched import Encoder, Pace, Progress, Refused, Row, TaskEncoder
from mammal.rows.run_model import run
from mammal.tasks.batches.batch import Batch, content_mask, mean_state
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.kinds.generation import GenerationTask
from mammal.tasks.task import Task

POOLINGS = ("mean", "max", "first", "none")


def predict_rows(
    model: MammalModel,
    task: Task,
    rows: Sequence[Row],
    *,
    encoder: Encoder | None = None,
    pace: Pace | None = None,
    progress: Progress | None = None,
    ranks: int = 1,
    seed: int = 0,
    cut: set[int] | None = None,
    near: bool = True,
    nearest: int = 0,
    mc_dropout: int = 0,
) -> list[Prediction]:
    """Predicts the target of every row.

    Args:
        model: the model.
        task: task that writes the prompt and reads the answer.
        rows: one mapping from columns to values per row.
        encoder: converts rows to batches. Default: that of the task. With `near`, it must be a `TaskEncoder` with
            `near`, or must wrap one.
        pace: how many rows are processed together. Default: that of the model's device.
        progress: function that is called with the number of rows that were just answered.
        ranks: generation by beam search: number of answers for each row. The best one is the prediction, the others
            are its `runners_up`.
        seed: seed of sampling.
        cut: gets the positions of rows that are longer than a limit (`mammal.rows.batched.walk`).
        near: compare rows with the training rows, if the task keeps any and is not a generation task.
        nearest: with `near`: number of training rows that each prediction names; 0: none.
        mc_dropout: number of passes with dropout, for the `dropout_spread` of each prediction; 0: none.

    Returns:
        One prediction for each row, in order. Its `row_id` is the position of the row. A row that can't be read has an
            `error`, and a generated answer that is not valid has a `problem`.
    """
    encoder = encoder or TaskEncoder(task, near=near)
    if isinstance(task, GenerationTask):
        how = replace(declared_generation(task), num_return_sequences=ranks, seed=seed)
        rules = declared_rules(task)
        generated = generate_rows(model, encoder, rows, how, rules=rules, pace=pace, progress=progress, cut=cut)
        return [
            Prediction(row_id, error=given.reason)
            if isinstance(given, Refused)
            else _ranked(task, row_id, given, rows[row_id])
            for row_id, given in enumerate(generated)
        ]

    def answer(batch: Batch) -> Sequence[Prediction]:
        batch = batch.to(model.device)
        return batch_predictions(model, task, batch, near=near, nearest=nearest, mc_dropout=mc_dropout)

    answers = run(model, rows, encoder, answer, pace, progress, cut=cut)
    return [prediction_of_row(row_id, given) for row_id, given in enumerate(answers)]


def batch_predictions(
    model: MammalModel,
    task: Task,
    batch: Batch,
    memory: Memory | None = None,
    *,
    near: bool = True,
    nearest: int = 0,
    mc_dropout: int = 0,
) -> list[Prediction]:
    """Predicts the targets of a batch, for tasks whose answers are not generated.

    Args:
        model: the model.
        task: the task.
        batch: a batch of the task, on the device of the model.
        memory: states of the encoder for the inputs of the batch. None: they are computed.
        near: as for `predict_rows`.
        nearest: as for `predict_rows`.
        mc_dropout: as for `predict_rows`.
    """
    kept = task.training_rows if near else None
    asked = batch if kept is None else kept.wanting(batch)
    output = model(asked) if memory is None else model.outputs(asked, memory)
    said = task.decode(output, asked)
    if mc_dropout:
        said = with_dropout_spread(model, task, batch, said, mc_dropout)
    return said if kept is None else [task.placed(one) for one in kept.placed(said, output, asked, nearest)]


def embed_rows(
    model: MammalModel,
    encoder: Encoder,
    rows: Sequence[Row],
    *,
    pooling: str = "mean",
    tags: Sequence[int] = (),
    pace: Pace | None = None,
    progress: Progress | None = None,
    cut: set[int] | None = None,
) -> list[np.ndarray | Refused]:
    """Computes encoder states of every row.

    Args:
        model: the model.
        encoder: converts rows to batches.
        rows: one mapping from columns to values per row.
        pooling: how the states of the tokens become one vector. "mean" and "max" leave out `tags`, unless the row has
            no other tokens. "first" is the state of the first token. "none" returns the states of all tokens.
        tags: ids of tokens that describe a sequence (special tokens) and are not part of its content.
        pace: how many rows are processed together. Default: that of the model's device.
        progress: function that is called with the number of rows that were just answered.
        cut: as for `predict_rows`.

    Returns:
        For each row a float32 array [W], or [tokens, W] with pooling "none", or the reason why it has none.
    """
    tags_T = torch.tensor(sorted(tags), dtype=torch.int64, device=model.device)

    def answer(batch: Batch) -> Sequence[np.ndarray]:
        batch = _encoder_only(batch).to(model.device)
        hidden_BLW = model(batch).hidden_BLW
        assert hidden_BLW is not None, "the batch wants hidden states"
        hidden_BLW = hidden_BLW.float()
        if pooling == "none":
            states_BLW, real_BL = hidden_BLW.cpu().numpy(), batch.mask_BL.cpu().numpy()
            return [states_LW[real_L] for states_LW, real_L in zip(states_BLW, real_BL, strict=True)]
        return list(_pooled(hidden_BLW, batch, pooling, tags_T).cpu().numpy())

    return run(model, rows, encoder, answer, pace, progress, cut=cut)


def score_rows(
    model: MammalModel,
    encoder: Encoder,
    rows: Sequence[Row],
    *,
    pace: Pace | None = None,
    progress: Progress | None = None,
    cut: set[int] | None = None,
) -> list[float | Refused]:
    """Computes the log-likelihood of each row's target given its input.

    Args:
        model: the model.
        encoder: converts rows to batches, with their targets.
        rows: one mapping from columns to values per row.
        pace: how many rows are processed together. Default: that of the model's device.
        progress: function that is called with the number of rows that were just answered.
        cut: as for `predict_rows`.

    Returns:
        For each row the log-likelihood (natural logarithm, summed over the tokens of the target), or the reason why it
            has none.
    """

    def answer(batch: Batch) -> Sequence[float]:
        batch = batch.to(model.device)
        scores_D = sequence_log_likelihood(model, batch).double()
        if batch.decoder_rows_D is not None:
            scores_D = scores_D.new_zeros(len(batch)).index_add(0, batch.decoder_rows_D, scores_D)
        return scores_D.cpu().tolist()

    return run(model, rows, encoder, answer, pace, progress, cut=cut)


def prediction_of_row(row_id: int, given: Prediction | Refused) -> Prediction:
    """The answer with the position of its row. Rows with equal values have the answer of the first of them."""
    if isinstance(given, Refused):
        return Prediction(row_id, error=given.reason)
    return given if given.row_id == row_id else replace(given, row_id=row_id)


def _ranked(task: GenerationTask, row_id: int, samples: Sequence[Sample], row: Row) -> Prediction:
    """Returns the prediction of the best sequence, valid or not, with those of the others as `runners_up`."""
    best, *others = (sample_prediction(task, row_id, sample, row) for sample in samples)
    return replace(best, runners_up=tuple(others))


def _encoder_only(batch: Batch) -> Batch:
    """Returns the batch with only encoder states requested."""
    return Batch(
        mode="encoder",
        wants=("hidden",),
        ids_BL=batch.ids_BL,
        mask_BL=batch.mask_BL,
        read_DR=batch.ids_BL.new_full((len(batch), 0), -1),
        values_BL=batch.values_BL,
        has_value_BL=batch.has_value_BL,
        embeddings=batch.embeddings,
        row_ids=batch.row_ids,
        task=batch.task,
    )


def _pooled(hidden_BLW: Tensor, batch: Batch, pooling: str, tags_T: Tensor) -> Tensor:
    if pooling == "first":
        return hidden_BLW[:, 0]
    content_BL = content_mask(batch.ids_BL, batch.mask_BL, tags_T)
    if pooling == "max":
        return hidden_BLW.masked_fill(~content_BL.unsqueeze(2), -torch.inf).amax(dim=1)
    return mean_state(hidden_BLW, content_BL)

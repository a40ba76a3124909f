"""What can be asked of a model, for rows of any number: predict, embed, score, generate.

Each function walks the rows (`mammal.walk`) and says only what is done with a batch.
Shapes: as in `mammal.tasks.batch`; N rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mammal.decoding import Generated, GenerationConfig, generate, sequence_log_likelihood
from mammal.model.model import MammalModel
from mammal.tasks.batch import Batch
from mammal.tasks.prediction import Prediction
from mammal.tasks.task import Task
from mammal.walk import Encoder, Pace, Progress, Refused, Row, TaskEncoder, walk

POOLINGS = ("mean", "max", "first", "none")
_ROUND = 64
"""Sequences drawn for one row at once."""


def predict_rows(
    model: MammalModel,
    task: Task,
    rows: Sequence[Row],
    *,
    encoder: Encoder | None = None,
    pace: Pace | None = None,
    progress: Progress | None = None,
    ranks: int = 1,
) -> list[Prediction]:
    """One prediction for each row, in order; `row_id` is its position. A row that can't be read has an `error`.

    Args:
        ranks: generation by beam search: answers of a row, the others as its `runners_up`.
    """
    encoder = encoder or TaskEncoder(task)
    if task.target_is_text:
        how = replace(declared_generation(task), num_return_sequences=ranks)
        generated = generate_rows(model, encoder, rows, how, pace=pace, progress=progress)
        return [
            Prediction(row_id, error=given.reason) if isinstance(given, Refused) else _ranked(task, row_id, given)
            for row_id, given in enumerate(generated)
        ]

    def answer(batch: Batch) -> Sequence[Prediction]:
        batch = batch.to(model.device)
        return task.decode(model(batch), batch)

    answers = run(model, rows, encoder, answer, pace, progress)
    return [
        Prediction(row_id, error=given.reason) if isinstance(given, Refused) else replace(given, row_id=row_id)
        for row_id, given in enumerate(answers)
    ]


def embed_rows(
    model: MammalModel,
    encoder: Encoder,
    rows: Sequence[Row],
    *,
    pooling: str = "mean",
    tags: Sequence[int] = (),
    pace: Pace | None = None,
    progress: Progress | None = None,
) -> list[np.ndarray | Refused]:
    """Encoder states of each row: float32 [W], or [tokens, W] with pooling "none".

    Args:
        pooling: over a row's tokens. "mean" and "max" leave out `tags`, unless the row holds nothing else; "first" is
            the state of the first token; "none" gives every token's.
        tags: ids of tokens that say what a sequence is, not what is in it.
    """
    tags_T = torch.tensor(sorted(tags), dtype=torch.int64, device=model.device)

    def answer(batch: Batch) -> Sequence[np.ndarray]:
        batch = _encoder_only(batch).to(model.device)
        hidden_BLW = model(batch).hidden_BLW
        assert hidden_BLW is not None, "the batch wants hidden states"
        hidden_BLW = hidden_BLW.float()
        if pooling == "none":
            return [h[m].cpu().numpy() for h, m in zip(hidden_BLW, batch.mask_BL, strict=True)]
        return list(_pooled(hidden_BLW, batch, pooling, tags_T).cpu().numpy())

    return run(model, rows, encoder, answer, pace, progress)


def score_rows(
    model: MammalModel,
    encoder: Encoder,
    rows: Sequence[Row],
    *,
    pace: Pace | None = None,
    progress: Progress | None = None,
) -> list[float | Refused]:
    """Log-likelihood (natural logarithm, summed over the target's tokens) of each row's target given its input."""

    def answer(batch: Batch) -> Sequence[float]:
        batch = batch.to(model.device)
        scores_D = sequence_log_likelihood(model, batch).double()
        if batch.decoder_rows_D is not None:
            scores_D = scores_D.new_zeros(len(batch)).index_add(0, batch.decoder_rows_D, scores_D)
        return scores_D.cpu().tolist()

    return run(model, rows, encoder, answer, pace, progress)


@dataclass(frozen=True)
class Sample:
    """One generated sequence: its token ids up to the end, and the score that decoding gave it.

    Attributes:
        values: one for each id, NaN where it carries none; None for models whose decoder gives no numbers.
    """

    ids: tuple[int, ...]
    score: float | None
    values: tuple[float, ...] | None = None


def generate_rows(
    model: MammalModel,
    encoder: Encoder,
    rows: Sequence[Row],
    config: GenerationConfig,
    *,
    pace: Pace | None = None,
    progress: Progress | None = None,
) -> list[list[Sample] | Refused]:
    """`config.num_return_sequences` sequences for each row.

    Sampled sequences are drawn in rounds, so that any number fits in memory. What is drawn depends on the seed, the
    position of the row and the round alone, so rows that are equal get different ones.
    """
    pace, wanted = pace or Pace(), config.num_return_sequences
    rounds = [min(_ROUND, wanted - start) for start in range(0, wanted, _ROUND)] if config.do_sample else [wanted]
    collected: list[list[Sample] | Refused] = [[] for _ in rows]
    for number, count in enumerate(rounds):
        drawn = replace(config, num_return_sequences=count, seed=derived_seed(config.seed, number))
        narrow = replace(pace, rows=max(1, pace.rows // max(count, config.num_beams)))
        last = progress if number == len(rounds) - 1 else None
        made = run(model, rows, encoder, _drawing(model, drawn), narrow, last, merge=not config.do_sample)
        for i, (held, given) in enumerate(zip(collected, made, strict=True)):
            collected[i] = given if isinstance(given, Refused) or isinstance(held, Refused) else held + given
    return collected


def _drawing(model: MammalModel, config: GenerationConfig) -> Callable[[Batch], Sequence[list[Sample]]]:
    def answer(batch: Batch) -> Sequence[list[Sample]]:
        made = generate(model, batch.to(model.device), replace(config, allowed_ids=batch.candidates_V))
        return [[_sample(made, row, i) for i in range(len(ids_list))] for row, ids_list in enumerate(made.ids_list)]

    return answer


def derived_seed(*numbers: int) -> int:
    """One seed for each combination of numbers."""
    return int(np.random.SeedSequence(list(numbers)).generate_state(1, np.uint32)[0])


def _sample(made: Generated, row: int, number: int) -> Sample:
    values = None if made.values_list is None else tuple(made.values_list[row][number].tolist())
    return Sample(tuple(made.ids_list[row][number].tolist()), made.scores[row][number], values)


def _ranked(task: Task, row_id: int, samples: Sequence[Sample]) -> Prediction:
    """What the best sequence says, and after it what the others do."""
    best, *others = (spelt(task, row_id, sample) for sample in samples)
    return replace(best, runners_up=tuple(others))


def spelt(task: Task, row_id: int, sample: Sample) -> Prediction:
    """What a generated sequence says, in the user's terms."""
    return task.decode_generated(sample.ids, row_id, sample.score, sample.values)


def declared_generation(task: Task) -> GenerationConfig:
    """How the task says it decodes."""
    asked = task.config.generation
    return GenerationConfig(
        max_new_tokens=asked.max_new_tokens,
        num_beams=asked.num_beams,
        do_sample=asked.do_sample,
        temperature=asked.temperature,
        top_k=asked.top_k or None,
        top_p=asked.top_p,
        scalar_id=task.tokenizer.scalar_id if "values" in task.wants else None,
    )


def run(
    model: MammalModel,
    rows: Sequence[Row],
    encoder: Encoder,
    answer: Callable[[Batch], Sequence],
    pace: Pace | None,
    progress: Progress | None,
    *,
    merge: bool = True,
) -> list:
    """Walks the rows (`mammal.walk`) with the model in evaluation mode and without gradients."""
    was_training = model.training
    if was_training:
        model.eval()
    try:
        with torch.inference_mode():
            return walk(rows, encoder, answer, merge=merge, pace=pace, progress=progress)
    finally:
        if was_training:
            model.train()


def _encoder_only(batch: Batch) -> Batch:
    """The batch with nothing to read but encoder states."""
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
    content_BL = batch.mask_BL & ~torch.isin(batch.ids_BL, tags_T)
    empty_B1 = ~content_BL.any(dim=1, keepdim=True)
    kept_BL1 = torch.where(empty_B1, batch.mask_BL, content_BL).unsqueeze(2)
    if pooling == "max":
        return hidden_BLW.masked_fill(~kept_BL1, -torch.inf).amax(dim=1)
    return (hidden_BLW * kept_BL1).sum(dim=1) / kept_BL1.sum(dim=1)

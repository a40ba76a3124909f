"""A model walked over rows, as it is when it answers: evaluation mode, no gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from mammal.model.model import MammalModel
from mammal.rows.batched import Encoder, Pace, Progress, Row, walk
from mammal.tasks.batches.batch import Batch


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
    """Walks the rows (`mammal.rows.batched`) with the model in evaluation mode and without gradients."""
    was_training = model.training
    if was_training:
        model.eval()
    try:
        with torch.inference_mode():
            return walk(rows, encoder, answer, merge=merge, pace=pace, progress=progress)
    finally:
        if was_training:
            model.train()

"""Runs a model on rows, in evaluation mode and without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

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
    cut: set[int] | None = None,
) -> list:
    """Runs `mammal.rows.batched.walk` with the model in evaluation mode and without gradients.

    Args:
        model: the model. It is set back to training mode afterwards if it was in training mode.
        rows: as for `walk`.
        encoder: as for `walk`.
        answer: as for `walk`.
        pace: as for `walk`. Default: that of the model's device.
        progress: as for `walk`.
        merge: as for `walk`.
    """
    pace = pace or Pace.of_device(model.device.type)
    with evaluating(model):
        return walk(rows, encoder, answer, merge=merge, pace=pace, progress=progress, cut=cut)


@contextmanager
def evaluating(model: MammalModel) -> Iterator[None]:
    """Sets a model to evaluation mode and computes without gradients; restores its mode afterwards.

    Args:
        model: the model.
    """
    was_training = model.training
    if was_training:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if was_training:
            model.train()

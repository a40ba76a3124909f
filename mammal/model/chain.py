"""Predicts several numbers of a decoder target one after the other; each number is fed back before the next one.

This is a regressor chain (Read et al. 2011; for numbers Spyromitros-Xioufis et al. 2016).

Shapes: as in `mammal.tasks.batches.batch`; C outputs of the scalar head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mammal.tasks.batches.batch import Batch

if TYPE_CHECKING:
    from mammal.model.heads import MLPHead
    from mammal.model.states import Reads


def chained_numbers(batch: Batch, reads_of: Callable[[Batch], Reads], head: MLPHead) -> Tensor:
    """Predicts the numbers of each decoder row.

    The tokens of the target are known, so no search is needed: the decoder runs once for each number, over the tokens
    before it.

    Args:
        batch: a batch in decoder mode with the tokens of its targets as decoder inputs.
        reads_of: runs the decoder over such a batch and returns the states at its `read_DR`.
        head: scalar head of the decoder.

    Returns:
        Outputs of the scalar head at each read position, float32 [D, R, C]; zeros if a row has fewer positions.
    """
    found: list[Tensor] = []
    for number in range(batch.read_DR.shape[1]):
        reads = reads_of(_before(batch, number))
        found.append(reads.scatter(head(reads.states_MW).float()))
        batch = _fed(batch, number, found[-1][:, 0, 0])
    return torch.cat(found, dim=1)


def _before(batch: Batch, number: int) -> Batch:
    """The batch cut after the step of one read position, which is the only one that is read."""
    read_D1 = batch.read_DR[:, number : number + 1]
    steps = max(1, int(read_D1.max()) + 1)
    assert batch.decoder_ids_DT is not None, "a decoder batch has decoder inputs"
    return replace(
        batch,
        read_DR=read_D1,
        decoder_ids_DT=batch.decoder_ids_DT[:, :steps],
        decoder_mask_DT=_cut(batch.decoder_mask_DT, steps),
        decoder_values_DT=_cut(batch.decoder_values_DT, steps),
        decoder_has_value_DT=_cut(batch.decoder_has_value_DT, steps),
    )


def _fed(batch: Batch, number: int, values_D: Tensor) -> Batch:
    """The batch with the predicted number as value of its token, which is fed one step after the number is read."""
    ids_DT, read_D = batch.decoder_ids_DT, batch.read_DR[:, number]
    assert ids_DT is not None, "a decoder batch has decoder inputs"
    known_D = (read_D >= 0) & (read_D + 1 < ids_DT.shape[1])
    values_DT, has_value_DT = batch.decoder_values_DT, batch.decoder_has_value_DT
    values_DT = torch.zeros_like(ids_DT, dtype=torch.float32) if values_DT is None else values_DT.clone()
    has_value_DT = torch.zeros_like(ids_DT, dtype=torch.bool) if has_value_DT is None else has_value_DT.clone()
    rows_X, steps_X = known_D.nonzero().squeeze(1), (read_D + 1)[known_D]
    values_DT[rows_X, steps_X] = values_D[known_D]
    has_value_DT[rows_X, steps_X] = True
    return replace(batch, decoder_values_DT=values_DT, decoder_has_value_DT=has_value_DT)


def _cut(tensor_DT: Tensor | None, steps: int) -> Tensor | None:
    return None if tensor_DT is None else tensor_DT[:, :steps]

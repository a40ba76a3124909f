"""Weights that are used together lie together, so that inference multiplies once where training multiplies thrice.

The parameters keep their own names and shapes: each is a view of one block of memory. When its neighbours follow it
there, `joined` gives the block as one matrix without a copy; nothing is cached, so nothing can go stale.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def lay_together(linears: Sequence[nn.Linear]) -> None:
    """Moves the weights of `linears` into one block of memory, if they are not there yet. Values do not change."""
    if joined(linears) is not None or any(type(linear) is not nn.Linear for linear in linears):
        return
    weights = [linear.weight for linear in linears]
    if weights[0].is_meta or len({(w.device, w.dtype, w.shape[1]) for w in weights}) > 1:
        return
    with torch.no_grad():
        block = torch.cat([weight.detach() for weight in weights])
        start = 0
        for weight in weights:
            weight.data = block[start : start + weight.shape[0]]
            start += weight.shape[0]


def joined(linears: Sequence[nn.Linear]) -> Tensor | None:
    """The weights of `linears` as one matrix, or None where they do not follow each other in memory.

    Adapted layers (LoRA and its like) never join: they compute more than their weight says.
    """
    if any(type(linear) is not nn.Linear for linear in linears):
        return None
    first = linears[0].weight
    expected, rows = first.data_ptr(), 0
    for linear in linears:
        weight = linear.weight
        if weight.data_ptr() != expected or weight.is_meta or not weight.is_contiguous() or weight.dtype != first.dtype:
            return None
        expected += weight.numel() * weight.element_size()
        rows += weight.shape[0]
    storage = first.untyped_storage()
    if expected > storage.data_ptr() + storage.nbytes():
        return None  # neighbours by chance, not parts of one block
    return first.detach().as_strided((rows, first.shape[1]), (first.shape[1], 1))

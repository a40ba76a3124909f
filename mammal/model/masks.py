"""Masks of Monte Carlo dropout, which depend only on the row, the pass, the layer and the place of a token.

Random numbers of torch depend on the other rows of a batch. Here they are a hash of these numbers (the finaliser of
splitmix64, Steele et al. 2014), so a row gets the same masks in every batch, on every device.

Shapes: B encoder rows, D decoder rows, L encoder tokens, N packed tokens, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mammal.model.packing import Packing
from mammal.tasks.batches.batch import Batch

_STEP = 0x9E3779B97F4A7C15 - 2**64
"""Distance between the numbers that are hashed: 2^64 divided by the golden ratio, as a signed integer."""


class RowMasks:
    """Dropout masks of one pass of packed tokens through the encoder or the decoder.

    Args:
        keys: key of each row of `packing`, int64.
        packing: packing of the tokens.
    """

    def __init__(self, keys: Tensor, packing: Packing):
        rows_N = packing.index_N.div(max(packing.length, 1), rounding_mode="floor")
        places_N = packing.index_N - rows_N * packing.length
        self._keys_N = _mixed(keys.index_select(0, rows_N) + (places_N + 1) * _STEP)
        self._calls = 0

    def dropout(self, x_NW: Tensor, rate: float) -> Tensor:
        """Sets entries to zero and scales the others. Each call in a pass has other masks.

        Args:
            x_NW: a tensor for the packed tokens, float.
            rate: share of entries that are set to zero; it is rounded to 1/65536.
        """
        if rate == 0:
            return x_NW
        self._calls += 1
        words = -(-x_NW.shape[1] // 4)  # each hash has four 16-bit numbers
        columns_X = torch.arange(words, device=x_NW.device) + self._calls * 2**32
        noise_NW = _mixed(self._keys_N.unsqueeze(1) + columns_X * _STEP).view(torch.int16)[:, : x_NW.shape[1]]
        keep_NW = noise_NW >= round(rate * 2**16) - 2**15
        return x_NW * keep_NW.to(x_NW.dtype) * (1 / (1 - rate))


def row_keys(batch: Batch, number: int) -> Tensor:
    """Returns the keys of the rows of a batch for one pass, int64 [B]. They depend on tokens and values of the row.

    Args:
        batch: the batch.
        number: number of the pass.
    """
    places_L = torch.arange(1, batch.ids_BL.shape[1] + 1, device=batch.ids_BL.device)
    hashed_BL = _mixed(batch.ids_BL * 2**32 + places_L)
    if batch.values_BL is not None and batch.has_value_BL is not None:
        bits_BL = batch.values_BL.float().contiguous().view(torch.int32).long()
        hashed_BL = hashed_BL + torch.where(batch.has_value_BL, _mixed(bits_BL * 2**32 + places_L + _STEP), 0)
    return _mixed((hashed_BL * batch.mask_BL).sum(dim=1) + _signed((number + 1) * _STEP))


def decoder_keys(keys_B: Tensor, rows_D: Tensor | None) -> Tensor:
    """Returns the keys of decoder rows, int64 [D]: of the row that each reads, and of its place among those that do.

    Args:
        keys_B: keys of the encoder rows.
        rows_D: encoder row of each decoder row, int64 [D]; None: row i reads row i.
    """
    if rows_D is None:
        return _mixed(keys_B + _STEP)
    packing = Packing.by_row(rows_D, len(keys_B))
    rank_D = packing.index_N - rows_D * packing.length
    return _mixed(keys_B.index_select(0, rows_D) + (rank_D + 1) * _STEP)


def _signed(number: int) -> int:
    """The last 64 bits of an integer, as a signed integer."""
    return (number + 2**63) % 2**64 - 2**63


def _mixed(numbers: Tensor) -> Tensor:
    """Hashes of 64-bit integers; sums and products overflow on purpose."""
    numbers = (numbers ^ _right(numbers, 30)) * (0xBF58476D1CE4E5B9 - 2**64)
    numbers = (numbers ^ _right(numbers, 27)) * (0x94D049BB133111EB - 2**64)
    return numbers ^ _right(numbers, 31)


def _right(numbers: Tensor, bits: int) -> Tensor:
    """Shift to the right that fills with zeros."""
    return (numbers >> bits) & ((1 << (64 - bits)) - 1)

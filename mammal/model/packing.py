"""Converts rows of unequal length into one list of real tokens, and back.

Matrix products are computed only on packed tokens, so padding costs nothing there. Only attention needs rows.

Shapes: B rows, L positions, N real tokens, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Packing:
    """The position of each packed token in its row.

    Attributes:
        mask_BL: True for real tokens, bool [B, L]; L is the length of the longest row.
        index_N: flat index (row * L + position) of each packed token, int64 [N].
        ordered: whether packed tokens are sorted by row and position.
    """

    mask_BL: Tensor
    index_N: Tensor
    ordered: bool = True

    @classmethod
    def of_mask(cls, mask_BL: Tensor) -> Packing:
        """Packs the positions at which a mask is True."""
        used_N = mask_BL.any(dim=0).nonzero()
        mask_BL = mask_BL[:, : int(used_N.max()) + 1 if len(used_N) else 0].bool()
        return cls(mask_BL, mask_BL.reshape(-1).nonzero().squeeze(1))

    @classmethod
    def by_row(cls, rows_N: Tensor, rows: int) -> Packing:
        """Packs tokens that belong to the given rows; tokens of the same row keep their order.

        Args:
            rows_N: row of each token, int64 [N].
            rows: number of rows.
        """
        counts_B = torch.bincount(rows_N, minlength=rows)
        length = int(counts_B.max())
        order_N = rows_N.argsort(stable=True)
        starts_B = counts_B.cumsum(0) - counts_B
        rank_N = torch.empty_like(rows_N)
        rank_N[order_N] = torch.arange(len(rows_N), device=rows_N.device) - starts_B[rows_N[order_N]]
        mask_BL = torch.arange(length, device=rows_N.device) < counts_B.unsqueeze(1)
        ordered = bool((rows_N.diff() >= 0).all())
        return cls(mask_BL, rows_N * length + rank_N, ordered)

    @property
    def rows(self) -> int:
        return self.mask_BL.shape[0]

    @property
    def length(self) -> int:
        return self.mask_BL.shape[1]

    @property
    def tokens(self) -> int:
        return len(self.index_N)

    @cached_property
    def full(self) -> bool:
        """Whether there is no padding, so that packing is only a reshape."""
        return self.ordered and self.tokens == self.mask_BL.numel()

    @cached_property
    def lengths(self) -> list[int]:
        """Number of tokens in each row."""
        return self.mask_BL.sum(dim=1).tolist()

    @cached_property
    def last_places(self) -> np.ndarray:
        """Number of positions of each row up to its last token, gaps included, int64 [B]."""
        if self.full:
            return np.full(self.rows, self.length)
        places_L = torch.arange(1, self.length + 1, device=self.mask_BL.device)
        return (self.mask_BL * places_L).amax(dim=1).cpu().numpy()

    @cached_property
    def splittable(self) -> bool:
        """Whether packed tokens can be split into rows by `lengths`, because rows have no gaps."""
        holes = ~self.mask_BL[:, :-1] & self.mask_BL[:, 1:]
        return self.ordered and not bool(holes.any())

    @cached_property
    def tokens_BL(self) -> Tensor:
        """Index of the packed token at each position, int64 [B, L]; 0 for padding."""
        tokens = self.index_N.new_zeros(self.mask_BL.numel())
        tokens[self.index_N] = torch.arange(self.tokens, device=self.index_N.device)
        return tokens.view(self.rows, self.length)

    def pack(self, x_BL: Tensor) -> Tensor:
        """Packs a tensor: [B, ≥L, ...] to [N, ...]."""
        flat = x_BL[:, : self.length].reshape(self.rows * self.length, *x_BL.shape[2:])
        return flat if self.full else flat.index_select(0, self.index_N)

    def pad(self, x_NW: Tensor) -> Tensor:
        """Unpacks a tensor: [N, W] to [B, L, W], with zeros for padding."""
        if not self.full:
            padded = x_NW.new_zeros(self.rows * self.length, x_NW.shape[1])
            x_NW = padded.index_copy(0, self.index_N, x_NW)
        return x_NW.view(self.rows, self.length, -1)

"""The number of tokens that each sequence of a batch has so far. Sequences enter and leave a batch at any step.

Shapes: D sequences.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class Ages:
    """Numbers of tokens, the start token of the decoder not counted.

    The numbers are kept in main memory, so that no step waits for the device to read them.

    Args:
        rows: D, number of sequences; all start with no token.
        most: maximal number of tokens of a sequence.
        device: where `places` are put.

    Attributes:
        counts_D: number of tokens of each sequence, int64 [D].
        same: this number if it is the same for all sequences; else None.
        longest: the highest number.
    """

    def __init__(self, rows: int, most: int, device: torch.device):
        self.most, self._device = most, device
        self._set(np.zeros(rows, dtype=np.int64))

    def _set(self, counts_D: np.ndarray) -> None:
        self.counts_D = counts_D
        self.longest = int(counts_D.max(initial=0))
        self.same = self.longest if self.longest == counts_D.min(initial=self.longest) else None
        self._tensors: tuple[Tensor, Tensor] | None = None

    @property
    def places(self) -> tuple[Tensor, Tensor]:
        """Index of each sequence, and its number of tokens, int64 [D] each, on the device."""
        if self._tensors is None:
            rows_D = torch.arange(len(self.counts_D), device=self._device)
            self._tensors = rows_D, torch.from_numpy(self.counts_D).to(self._device)
        return self._tensors

    def write(self, table_DT: Tensor, next_D: Tensor) -> None:
        """Writes the next token of each sequence, or what belongs to it, into a table of all steps."""
        if self.same is not None:
            table_DT[:, self.same] = next_D
        else:
            table_DT[self.places] = next_D

    def read(self, table_DT: Tensor) -> Tensor:
        """What a table of all steps has for the next token of each sequence, [D]."""
        return table_DT[:, self.same] if self.same is not None else table_DT[self.places]

    def advance(self) -> None:
        """One more token for each sequence. Sequences that have ended stay in their place, so the number is limited."""
        if self.same is not None:
            self.same = self.longest = min(self.same + 1, self.most - 1)
            self.counts_D, self._tensors = np.full_like(self.counts_D, self.same), None
        else:
            self._set(np.minimum(self.counts_D + 1, self.most - 1))

    def restart(self, rows: np.ndarray) -> None:
        """Other sequences, which have no token yet, take these places (indices)."""
        counts_D = self.counts_D.copy()
        counts_D[rows] = 0
        self._set(counts_D)

    def keep(self, rows: np.ndarray) -> None:
        """Keeps only these sequences (indices)."""
        self._set(self.counts_D[rows])

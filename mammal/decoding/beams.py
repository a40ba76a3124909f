"""Sets of sequences that beam search keeps.

Shapes: G encoder rows, C sequences of each, T steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mammal.decoding.limits import LengthLimits

OUT = -1e9
"""Is added to scores that must not be chosen. It is the constant of `transformers`, on which the order of ties depends.
"""

DEAD = OUT / 10
"""Scores below this value must not be chosen; they occur if fewer sequences can continue than there are beams."""


@dataclass
class Beams:
    """Sequences of each row.

    Attributes:
        scores_GC: scores that rank the sequences.
        likelihoods_GC: sums of log-probabilities.
        lengths_GC: numbers of tokens.
        done_GC: whether each sequence has ended.
    """

    ids_GCT: Tensor
    values_GCT: Tensor
    scores_GC: Tensor
    likelihoods_GC: Tensor
    lengths_GC: Tensor
    done_GC: Tensor

    @classmethod
    def empty(cls, rows: int, beams: int, limits: LengthLimits, device: torch.device) -> Beams:
        shape = (rows, beams, limits.max_new_tokens)
        return cls(
            torch.full(shape, limits.pad_id, device=device),
            torch.full(shape, torch.nan, device=device),
            torch.full((rows, beams), OUT, device=device),
            torch.zeros((rows, beams), device=device),
            torch.zeros((rows, beams), dtype=torch.int64, device=device),
            torch.zeros((rows, beams), dtype=torch.bool, device=device),
        )

    def pick(self, places_GX: Tensor, scores_GX: Tensor | None = None) -> Beams:
        """The sequences at these places of each row; `scores_GX` replaces their scores if it is given."""
        long_GXT = places_GX.unsqueeze(2).expand(-1, -1, self.ids_GCT.shape[2])
        return Beams(
            self.ids_GCT.gather(1, long_GXT),
            self.values_GCT.gather(1, long_GXT),
            self.scores_GC.gather(1, places_GX) if scores_GX is None else scores_GX,
            self.likelihoods_GC.gather(1, places_GX),
            self.lengths_GC.gather(1, places_GX),
            self.done_GC.gather(1, places_GX),
        )

    def scored(self, scores_GC: Tensor) -> Beams:
        """The same sequences with other scores."""
        return replace(self, scores_GC=scores_GC)

    def join(self, other: Beams) -> Beams:
        """The sequences of both sets, row by row."""
        mine, theirs = vars(self), vars(other)
        return Beams(**{name: torch.cat((mine[name], theirs[name]), dim=1) for name in mine})

    def rows(self, rows_G: Tensor) -> Beams:
        """Only these rows."""
        return Beams(**{name: tensor[rows_G] for name, tensor in vars(self).items()})

    def put(self, rows_G: Tensor, other: Beams) -> None:
        """Replaces rows by those of `other`."""
        for name, tensor in vars(self).items():
            tensor[rows_G] = vars(other)[name]

"""Greedy search and sampling, one token at a time; sequences that wait take the place of those that are finished.

When none waits any more, finished sequences are no longer computed.

Shapes: D sequences that are computed, T steps, V allowed ids.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mammal.decoding.sampling import Sampling, sample_columns, share_of_free
from mammal.decoding.slots import Finish, Finished, Slots
from mammal.decoding.steps import DecodingSteps, Taken

_KEEP_ABOVE = 0.75
"""Finished sequences are dropped when at most this share of the computed ones is unfinished."""

_KEEP_ABOVE_COPIED = 0.5
"""The same for sequences of several rows, which then need a copy each of the keys and values of their row."""


def search(steps: DecodingSteps, slots: Slots, sampling: Sampling | None, finish: Finish) -> None:
    """Generates sequences with the best token at each step, or with sampled tokens.

    Args:
        steps: the decoder and the state of all sequences.
        slots: which sequence is in which row, and the sequences that wait.
        sampling: how tokens are sampled; None: greedy search.
        finish: gets each sequence when it ends.
    """
    found = _Found(steps, slots, sampling)
    several = min(steps.groups, steps.copies) > 1
    while True:
        ended = found.extend()
        if len(ended):
            found.start(slots.end(ended, found.sequences(ended), finish))
            left = int(found.open.sum())
            if left == 0:
                return
            if left <= (_KEEP_ABOVE_COPIED if several else _KEEP_ABOVE) * slots.rows and slots.exhausted:
                found.keep()
                several = False


class _Found:
    """What is known of each sequence in the batch.

    Attributes:
        open: rows with a sequence that has not ended, bool [D].
    """

    def __init__(self, steps: DecodingSteps, slots: Slots, sampling: Sampling | None):
        self._steps, self._slots, self._sampling = steps, slots, sampling
        rows, most, device = slots.rows, steps.limits.max_new_tokens, steps.device
        self._ids_DT = torch.full((rows, most), steps.limits.pad_id, device=device)
        self._values_DT = torch.full((rows, most), torch.nan, device=device) if steps.gives_values else None
        self._likelihoods_D, self._shares_D = torch.zeros(2, rows, device=device)
        self._uniforms_DT: Tensor | None = None
        if sampling is not None:
            self._uniforms_DT = torch.zeros((rows, most), dtype=torch.float64, device=device)
        self.open = slots.open_D()
        self.start(np.flatnonzero(self.open))

    def extend(self) -> np.ndarray:
        """Extends each sequence by one token; returns the rows whose sequence ends with it."""
        steps, limits = self._steps, self._steps.limits
        taken = steps.take()
        columns_D = self._columns(taken)
        chosen_D = taken.log_probs_DV.gather(1, columns_D.unsqueeze(1)).squeeze(1)
        self._likelihoods_D += chosen_D  # that of a row without a sequence is set to 0 when one starts
        ids_D = steps.head.ids(columns_D).masked_fill(~self._open_D, limits.pad_id)
        values_D = steps.values(taken.states_DW, ids_D)
        steps.ages.write(self._ids_DT, ids_D)
        if self._values_DT is not None and values_D is not None:
            steps.ages.write(self._values_DT, values_D)
        steps.feed(ids_D, values_D)
        ends_D = limits.ends(ids_D).cpu().numpy() | (steps.ages.counts_D + 1 == limits.max_new_tokens)
        self._lengths = steps.ages.counts_D + 1
        ended = np.flatnonzero(ends_D & self.open)
        if len(ended):
            self._set_open(self.open & ~ends_D)
        steps.follow(columns_D, self._open_D)
        return ended

    def _columns(self, taken: Taken) -> Tensor:
        sampling = self._sampling
        if sampling is None or self._uniforms_DT is None:
            return _best_columns(taken.open_DV)
        columns_D = sample_columns(taken.open_DV, self._steps.ages.read(self._uniforms_DT), sampling)
        if sampling.shares and taken.open_DV is not taken.free_DV:
            self._shares_D += share_of_free(taken.free_DV, taken.open_DV, columns_D, sampling)
        return columns_D

    def sequences(self, rows: np.ndarray) -> list[Finished]:
        """The sequences of rows that have just ended, without name and number."""
        rows_D = torch.from_numpy(rows).to(self._steps.device)
        ids_DT = self._ids_DT[rows_D].cpu().numpy()
        values_DT = None if self._values_DT is None else self._values_DT[rows_D].cpu().numpy()
        likelihoods_D = self._likelihoods_D[rows_D].tolist()
        shares = self._sampling is not None and self._sampling.shares
        shares_D = self._shares_D[rows_D].tolist() if shares else [None] * len(rows)
        return [
            Finished(
                None,
                0,
                ids_DT[place, :length].copy(),
                likelihood,
                likelihood,
                None if values_DT is None else values_DT[place, :length].copy(),
                share,
            )
            for place, (length, likelihood, share) in enumerate(
                zip(self._lengths[rows].tolist(), likelihoods_D, shares_D, strict=True)
            )
        ]

    def start(self, rows: np.ndarray) -> None:
        """New sequences start in these rows."""
        if len(rows) == 0:
            return
        rows_D = torch.from_numpy(rows).to(self._steps.device)
        self._likelihoods_D[rows_D], self._shares_D[rows_D] = 0.0, 0.0
        if self._uniforms_DT is not None:
            most = self._steps.limits.max_new_tokens
            uniforms_DT = np.stack([draw.uniforms(most) for draw in self._slots.draws(rows)])
            self._uniforms_DT[rows_D] = torch.from_numpy(uniforms_DT).to(self._steps.device)
        opened = self.open.copy()
        opened[rows] = True
        self._set_open(opened)

    def keep(self) -> None:
        """Drops rows without a sequence."""
        rows = np.flatnonzero(self.open)
        self._slots.keep_rows(rows)
        rows_D = torch.from_numpy(rows).to(self._steps.device)
        self._ids_DT, self._likelihoods_D, self._shares_D = (
            tensor[rows_D] for tensor in (self._ids_DT, self._likelihoods_D, self._shares_D)
        )
        if self._values_DT is not None:
            self._values_DT = self._values_DT[rows_D]
        if self._uniforms_DT is not None:
            self._uniforms_DT = self._uniforms_DT[rows_D]
        self._set_open(self.open[rows])

    def _set_open(self, opened: np.ndarray) -> None:
        self.open = opened
        self._open_D = torch.from_numpy(opened).to(self._steps.device)


def _best_columns(scores_DV: Tensor) -> Tensor:
    """The column with the highest score of each row, the first of equal ones, int64 [D].

    On a CPU it is found by NumPy, which takes a tenth of the time of torch.
    """
    if scores_DV.device.type != "cpu":
        return scores_DV.argmax(dim=1)
    return torch.from_numpy(scores_DV.numpy().argmax(axis=1))

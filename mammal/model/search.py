"""Greedy and random generation, one token at a time; rows that are done leave the computation.

Shapes: B encoder rows, C sequences of each, D = B * C, T steps, V allowed ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mammal.model.head import TokenHead
from mammal.model.model import MammalModel, Memory
from mammal.model.stepping import DecodingState

_KEEP_ABOVE = 0.75
"""Finished rows are dropped once at most this share of the rows that are computed is unfinished."""


@dataclass(frozen=True)
class Limits:
    """Where sequences end, what fills them after that, and which token carries a value (None: none does)."""

    max_new_tokens: int
    eos_id: int
    pad_id: int
    scalar_id: int | None = None


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn: one number of [0, 1) for each sequence and step, and how probabilities are shaped first."""

    uniforms_DT: Tensor
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None


@dataclass(frozen=True)
class Sequences:
    """Results: ids filled with the pad id, values NaN where an id carries none."""

    ids_BCT: Tensor
    scores_BC: Tensor
    values_BCT: Tensor


def search(
    model: MammalModel, memory: Memory, head: TokenHead, limits: Limits, copies: int, sampling: Sampling | None
) -> Sequences:
    """Takes the best token at each step, or draws one where `sampling` is given."""
    device, groups, steps = model.device, memory.packing.rows, limits.max_new_tokens
    rows = groups * copies
    ids_DT = torch.full((rows, steps), limits.pad_id, device=device)
    values_DT = torch.full((rows, steps), torch.nan, device=device)
    scores_D = torch.zeros(rows, device=device)
    state = DecodingState(model, memory, copies, steps)
    groups_G = torch.arange(groups, device=device)  # the encoder rows that are still computed
    alive = torch.ones(rows, dtype=torch.bool, device=device)
    fed = Fed(model, limits, rows, device)
    for step in range(steps):
        rows_X = (groups_G.unsqueeze(1) * copies + torch.arange(copies, device=device)).reshape(-1)
        states_XW = state.step(*fed.inputs)
        log_probs_XV = head(states_XW)
        if sampling is None:
            places_X = log_probs_XV.argmax(dim=1)
        else:
            places_X = draw(log_probs_XV, sampling.uniforms_DT[rows_X, step], sampling)
        open_X = alive[rows_X]
        chosen_X = log_probs_XV.gather(1, places_X.unsqueeze(1)).squeeze(1)
        scores_D[rows_X] += chosen_X.masked_fill(~open_X, 0.0)
        ids_X = head.ids(places_X).masked_fill(~open_X, limits.pad_id)
        fed.take(ids_X, fed.values(states_XW, ids_X))
        ids_DT[rows_X, step], values_DT[rows_X, step] = ids_X, fed.values_D
        alive[rows_X] = open_X & (ids_X != limits.eos_id)
        open_G = alive[rows_X].view(-1, copies).any(dim=1)
        left = int(open_G.sum())
        if left == 0:
            break
        if left <= _KEEP_ABOVE * len(groups_G):
            kept_G = open_G.nonzero().squeeze(1)
            state.keep(kept_G)
            fed.keep(open_G.repeat_interleave(copies))
            groups_G = groups_G[kept_G]
    shape = (groups, copies)
    return Sequences(ids_DT.unflatten(0, shape), scores_D.unflatten(0, shape), values_DT.unflatten(0, shape))


def draw(log_probs_XV: Tensor, uniforms_X: Tensor, sampling: Sampling) -> Tensor:
    """Columns drawn by inverting the distribution function, so that one number fixes the draw."""
    scores_XV = log_probs_XV / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < scores_XV.shape[1]:
        least_X1 = scores_XV.topk(sampling.top_k, dim=1).values[:, -1:]
        scores_XV = scores_XV.masked_fill(scores_XV < least_X1, -torch.inf)
    if sampling.top_p is not None and sampling.top_p < 1:
        scores_XV = _nucleus(scores_XV, sampling.top_p)
    cumulated_XV = torch.softmax(scores_XV.double(), dim=1).cumsum(dim=1)
    thresholds_X1 = (uniforms_X * cumulated_XV[:, -1]).unsqueeze(1)
    places_X = torch.searchsorted(cumulated_XV, thresholds_X1, right=True).squeeze(1)
    return places_X.clamp(max=log_probs_XV.shape[1] - 1)


def _nucleus(scores_XV: Tensor, top_p: float) -> Tensor:
    """Drops the least likely columns, which together hold at most 1 - top_p (Holtzman et al. 2020); the best stays."""
    ascending_XV, order_XV = scores_XV.sort(dim=1)
    dropped_XV = torch.softmax(ascending_XV, dim=1).cumsum(dim=1) <= 1 - top_p
    dropped_XV[:, -1] = False
    return scores_XV.masked_fill(dropped_XV.scatter(1, order_XV, dropped_XV), -torch.inf)


class Fed:
    """What the decoder is fed next: the last token of each row, and its value where it carries one."""

    def __init__(self, model: MammalModel, limits: Limits, rows: int, device: torch.device):
        self.model, self.limits = model, limits
        self.ids_D = torch.full((rows,), model.config.decoder_start_token_id, device=device)
        self.values_D = torch.full((rows,), torch.nan, device=device)

    @property
    def inputs(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if not self._gives_values:
            return self.ids_D, None, None
        has_value_D = ~self.values_D.isnan()
        return self.ids_D, self.values_D.nan_to_num(), has_value_D

    def values(self, states_DW: Tensor, ids_D: Tensor) -> Tensor:
        """The value that each produced token carries, NaN for those that carry none."""
        if not self._gives_values:
            return self.values_D.new_full(ids_D.shape, torch.nan)
        values_D = self.model.scalar_head("decoder")(states_DW)[:, 0].float()
        return values_D.masked_fill(ids_D != self.limits.scalar_id, torch.nan)

    def take(self, ids_D: Tensor, values_D: Tensor) -> None:
        self.ids_D, self.values_D = ids_D, values_D

    def keep(self, kept: Tensor) -> None:
        self.ids_D, self.values_D = self.ids_D[kept], self.values_D[kept]

    @property
    def _gives_values(self) -> bool:
        return self.limits.scalar_id is not None and self.model.decoder_scalars_head is not None

"""Greedy search and sampling, one token at a time; sequences that are finished are no longer computed.

Shapes: B encoder rows, C sequences of each, D = B * C, T steps, V allowed ids, X sequences that are still computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mammal.decoding.sampling import Sampling, sample_columns, share_of_free
from mammal.decoding.steps import DecodingSteps

_KEEP_ABOVE = 0.75
"""Finished sequences are dropped when at most this share of the computed ones is unfinished."""

_KEEP_ABOVE_COPIED = 0.5
"""The same for sequences of several rows, which then need a copy each of the keys and values of their row."""


@dataclass(frozen=True)
class Sequences:
    """Generated sequences, for each encoder row the best first.

    Attributes:
        ids_BCT: token ids, filled with the pad id after the end.
        values_BCT: values of the tokens; NaN for tokens without a value.
        likelihoods_BC: sums of log-probabilities.
        scores_BC: scores that rank the sequences.
        found_BC: False where a row has no further sequence.
        shares_BC: for sampling, if requested: sum over steps of `share_of_free`, see `Generated.log_shares`.
    """

    ids_BCT: Tensor
    values_BCT: Tensor
    likelihoods_BC: Tensor
    scores_BC: Tensor
    found_BC: Tensor
    shares_BC: Tensor | None = None


def search(steps: DecodingSteps, sampling: Sampling | None) -> Sequences:
    """Generates sequences with the best token at each step, or with sampled tokens.

    Args:
        steps: the decoder and the state of all sequences.
        sampling: how tokens are sampled; None: greedy search.

    Returns:
        The sequences of each encoder row.
    """
    device, groups, copies, limits = steps.device, steps.groups, steps.copies, steps.limits
    rows = groups * copies
    ids_DT = torch.full((rows, limits.max_new_tokens), limits.pad_id, device=device)
    values_DT = torch.full((rows, limits.max_new_tokens), torch.nan, device=device)
    likelihoods_D, shares_D = torch.zeros(2, rows, device=device)
    rows_X = torch.arange(rows, device=device)  # sequences that are still computed
    open_X = torch.ones(rows, dtype=torch.bool, device=device)  # those of them that have not ended
    keep_above = _KEEP_ABOVE_COPIED if min(groups, copies) > 1 else _KEEP_ABOVE
    for step in range(limits.max_new_tokens):
        log_probs_XV, free_XV, open_XV, states_XW = steps.take()
        if sampling is None:
            columns_X = open_XV.argmax(dim=1)
        else:
            columns_X = sample_columns(open_XV, sampling.uniforms_DT[rows_X, step], sampling)
        if sampling is not None and sampling.shares and open_XV is not free_XV:
            share_X = share_of_free(free_XV, open_XV, columns_X, sampling)
            shares_D[rows_X] += share_X.masked_fill(~open_X, 0.0)
        chosen_X = log_probs_XV.gather(1, columns_X.unsqueeze(1)).squeeze(1)
        likelihoods_D[rows_X] += chosen_X.masked_fill(~open_X, 0.0)
        ids_X = steps.head.ids(columns_X).masked_fill(~open_X, limits.pad_id)
        values_X = steps.values(states_XW, ids_X)
        ids_DT[rows_X, step], values_DT[rows_X, step] = ids_X, values_X
        steps.feed(ids_X, values_X)
        open_X = open_X & ~limits.ends(ids_X)
        left = int(open_X.sum())
        if left == 0:
            break
        steps.follow(columns_X, open_X)
        if left <= keep_above * len(rows_X):
            kept_X = open_X.nonzero().squeeze(1)
            steps.keep_rows(kept_X)
            rows_X, open_X = rows_X[kept_X], open_X[kept_X]
            keep_above = _KEEP_ABOVE
    shape = (groups, copies)
    likelihoods_BC = likelihoods_D.unflatten(0, shape)
    found_BC = torch.ones_like(likelihoods_BC, dtype=torch.bool)
    shares_BC = shares_D.unflatten(0, shape) if sampling is not None and sampling.shares else None
    return Sequences(
        ids_DT.unflatten(0, shape), values_DT.unflatten(0, shape), likelihoods_BC, likelihoods_BC, found_BC, shares_BC
    )

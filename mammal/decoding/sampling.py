"""Drawing tokens: how probabilities are shaped, and how one number of [0, 1) fixes what is drawn.

Shapes: X sequences, D all sequences, T steps, V allowed ids.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn: one number of [0, 1) for each sequence and step, and how probabilities are shaped first.
    `shares`: whether `share_of_free` is asked for.

    The temperature comes first, then `top_k`, `top_p` and `min_p` in this order, as in `transformers`.
    """

    uniforms_DT: Tensor
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    shares: bool = False


def draw(log_probs_XV: Tensor, uniforms_X: Tensor, sampling: Sampling) -> Tensor:
    """Columns drawn by inverting the distribution function; a column at -inf is never drawn."""
    cumulated_XV = torch.softmax(shaped(log_probs_XV, sampling).double(), dim=1).cumsum(dim=1)
    totals_X = cumulated_XV[:, -1]
    below_X = torch.nextafter(totals_X, torch.zeros_like(totals_X))  # a product rounded up to the total has no column
    thresholds_X = torch.minimum(uniforms_X * totals_X, below_X)
    return torch.searchsorted(cumulated_XV, thresholds_X.unsqueeze(1), right=True).squeeze(1)


def share_of_free(log_probs_XV: Tensor, open_XV: Tensor, columns_X: Tensor, sampling: Sampling) -> Tensor:
    """Log of how much less likely a free draw had been to give these columns than a draw among the open ones was.

    -inf for a column that a free draw could not give: a repetition that was let pass because nothing else was allowed.

    Without `top_p` and `min_p` this is never above 0; with them it may be, by little, and counts as 0.

    Args:
        log_probs_XV: scores of all columns. open_XV: the same, -inf where a column may not be drawn.
    """
    free_X, drawn_X = (
        torch.log_softmax(shaped(scores_XV, sampling).double(), dim=1).gather(1, columns_X.unsqueeze(1)).squeeze(1)
        for scores_XV in (log_probs_XV, open_XV)
    )
    return (free_X - drawn_X).clamp(max=0.0).float()


def shaped(log_probs_XV: Tensor, sampling: Sampling) -> Tensor:
    """Scores of the columns that draws choose from, -inf elsewhere."""
    scores_XV = log_probs_XV / sampling.temperature
    if sampling.top_k and sampling.top_k < scores_XV.shape[1]:
        least_X1 = scores_XV.topk(sampling.top_k, dim=1).values[:, -1:]
        scores_XV = scores_XV.masked_fill(scores_XV < least_X1, -torch.inf)
    if sampling.top_p is not None and sampling.top_p < 1:
        scores_XV = _nucleus(scores_XV, sampling.top_p)
    if sampling.min_p:
        least_X1 = scores_XV.amax(dim=1, keepdim=True) + math.log(sampling.min_p)
        scores_XV = scores_XV.masked_fill(scores_XV < least_X1, -torch.inf)  # Nguyen et al. 2024
    return scores_XV


def _nucleus(scores_XV: Tensor, top_p: float) -> Tensor:
    """Drops the least likely columns, which together hold at most 1 - top_p (Holtzman et al. 2020); the best stays."""
    ascending_XV, order_XV = scores_XV.sort(dim=1)
    dropped_XV = torch.softmax(ascending_XV, dim=1).cumsum(dim=1) <= 1 - top_p
    dropped_XV[:, -1] = False
    return scores_XV.masked_fill(dropped_XV.scatter(1, order_XV, dropped_XV), -torch.inf)

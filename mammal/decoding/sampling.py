"""Samples tokens: modifies the probabilities, and selects a token with one uniform random number in [0, 1).

Shapes: X sequences, V allowed ids.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How tokens are sampled.

    The temperature is applied first, then `top_k`, `top_p` and `min_p` in this order, as in `transformers`.

    Attributes:
        temperature: scores are divided by it.
        top_k: sample only from this number of most likely tokens; None: from all.
        top_p: sample only from the most likely tokens with this total probability (nucleus); None: from all.
        min_p: sample only from tokens with at least this share of the highest probability; None: from all.
        shares: whether `share_of_free` is computed.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    shares: bool = False


def sample_columns(log_probs_XV: Tensor, uniforms_X: Tensor, sampling: Sampling) -> Tensor:
    """Samples one column for each sequence by inverting the distribution function.

    Args:
        log_probs_XV: scores of the columns, float32 [X, V]; a column with -inf is never sampled.
        uniforms_X: uniform random numbers in [0, 1), float64 [X].
        sampling: how probabilities are modified.

    Returns:
        The sampled columns, int64 [X].
    """
    cumulated_XV = torch.softmax(shaped(log_probs_XV, sampling).double(), dim=1).cumsum(dim=1)
    totals_X = cumulated_XV[:, -1]
    below_X = torch.nextafter(totals_X, torch.zeros_like(totals_X))  # no column lies at the total itself
    thresholds_X = torch.minimum(uniforms_X * totals_X, below_X)
    return torch.searchsorted(cumulated_XV, thresholds_X.unsqueeze(1), right=True).squeeze(1)


def share_of_free(log_probs_XV: Tensor, open_XV: Tensor, columns_X: Tensor, sampling: Sampling) -> Tensor:
    """Log-ratio of the probabilities of the sampled columns without and with the restriction to allowed columns.

    Without `top_p` and `min_p` the ratio is at most 1. With them it can be slightly larger; the result is then 0.

    Args:
        log_probs_XV: scores of all columns, float32 [X, V].
        open_XV: the same scores, -inf for columns that are not allowed, float32 [X, V].
        columns_X: the sampled columns, int64 [X].
        sampling: how probabilities are modified.

    Returns:
        Natural logarithm of the ratio, float32 [X], at most 0. It is -inf for a column that can't be sampled without
        the restriction: a banned repetition that was accepted because no other token was allowed.
    """
    free_X, drawn_X = (
        torch.log_softmax(shaped(scores_XV, sampling).double(), dim=1).gather(1, columns_X.unsqueeze(1)).squeeze(1)
        for scores_XV in (log_probs_XV, open_XV)
    )
    return (free_X - drawn_X).clamp(max=0.0).float()


def shaped(log_probs_XV: Tensor, sampling: Sampling) -> Tensor:
    """Applies temperature, `top_k`, `top_p` and `min_p`.

    Args:
        log_probs_XV: scores of the columns, float32 [X, V].
        sampling: the settings.

    Returns:
        The modified scores; -inf for columns that are excluded.
    """
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
    """Excludes the least likely columns with a total probability of at most 1 - top_p (Holtzman et al. 2020)."""
    ascending_XV, order_XV = scores_XV.sort(dim=1)
    dropped_XV = torch.softmax(ascending_XV, dim=1).cumsum(dim=1) <= 1 - top_p
    dropped_XV[:, -1] = False
    return scores_XV.masked_fill(dropped_XV.scatter(1, order_XV, dropped_XV), -torch.inf)

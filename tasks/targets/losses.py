"""Losses over the positions that a batch asks about.

Shapes: as in `mammal.tasks.batches.batch`; N labels that count.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mammal.tasks.batches.batch import IGNORE

PUBLISHED_RMSE_EPSILON = 1e-6
"""Added to the squared error under the root in the published `rmse` loss."""


def token_loss(
    logits_DRV: Tensor, labels_DR: Tensor, candidates_V: Tensor | None, weights_DR: Tensor | None = None
) -> Tensor:
    """Cross entropy of the labels among the candidates, mean over labels that are not IGNORE.

    Args:
        logits_DRV: scores over `candidates_V`, or over the whole vocabulary if that is None.
        labels_DR: token ids, each of them a candidate, or IGNORE.
        weights_DR: each label's cross entropy counts so much. The mean still divides by the number of labels, not by
            the sum of weights, so that a batch of frequent classes alone stays as light as it is in the whole.
    """
    kept_DR = labels_DR != IGNORE
    logits_NV, labels_N = logits_DRV[kept_DR], labels_DR[kept_DR]
    if candidates_V is not None:
        labels_N = torch.searchsorted(candidates_V, labels_N)
    if weights_DR is None:
        return F.cross_entropy(logits_NV.float(), labels_N)
    return (weights_DR[kept_DR] * F.cross_entropy(logits_NV.float(), labels_N, reduction="none")).mean()


def value_loss(
    values_DR: Tensor, label_values_DR: Tensor, kind: str = "mse", bounds_DR: Tensor | None = None
) -> Tensor:
    """Error of predicted values, mean over labels that are not NaN; 0 where all are.

    Args:
        kind: `mse`, `mae`, or `rmse`: the published loss of that name, sqrt(error² + 1e-6) for each value, which is
            nearly the absolute error and no root mean square.
        bounds_DR: 1 where the truth is the label or more, -1 where it is the label or less. A prediction on the allowed
            side of such a label has no error: the one-sided loss of chemprop (`BoundedMSE`; Heid et al. 2024) for
            labels that are censored in the sense of Tobin (1958).
    """
    kept_DR = ~torch.isnan(label_values_DR)
    if not bool(kept_DR.any()):  # texts whose numbers are all missing; the mean of nothing would be NaN
        return values_DR.sum() * 0.0
    error_N = values_DR[kept_DR].float() - label_values_DR[kept_DR]
    loss_N = _errors(error_N, kind)
    if bounds_DR is not None:
        loss_N = loss_N.masked_fill(bounds_DR[kept_DR] * error_N > 0, 0.0)
    return loss_N.mean()


def _errors(error_N: Tensor, kind: str) -> Tensor:
    if kind == "mse":
        return error_N.square()
    if kind == "mae":
        return error_N.abs()
    assert kind == "rmse", kind
    return (error_N.square() + PUBLISHED_RMSE_EPSILON).sqrt()

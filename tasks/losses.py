"""Losses over the positions that a batch asks about.

Shapes: as in `mammal.tasks.batch`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mammal.tasks.batch import IGNORE

PUBLISHED_RMSE_EPSILON = 1e-6
"""Added to the squared error under the root in the published `rmse` loss."""


def token_loss(logits_DRV: Tensor, labels_DR: Tensor, candidates_V: Tensor | None) -> Tensor:
    """Cross entropy of the labels among the candidates, mean over labels that are not IGNORE.

    Args:
        logits_DRV: scores over `candidates_V`, or over the whole vocabulary if that is None.
        labels_DR: token ids, each of them a candidate, or IGNORE.
    """
    kept_DR = labels_DR != IGNORE
    logits_NV, labels_N = logits_DRV[kept_DR], labels_DR[kept_DR]
    if candidates_V is not None:
        labels_N = torch.searchsorted(candidates_V, labels_N)
    return F.cross_entropy(logits_NV.float(), labels_N)


def value_loss(values_DR: Tensor, label_values_DR: Tensor, kind: str = "mse") -> Tensor:
    """Error of predicted values, mean over labels that are not NaN.

    Args:
        kind: `mse`, `mae`, or `rmse`: the published loss of that name, sqrt(error² + 1e-6) for each value, which is
            nearly the absolute error and no root mean square.
    """
    kept_DR = ~torch.isnan(label_values_DR)
    error_N = values_DR[kept_DR].float() - label_values_DR[kept_DR]
    if kind == "mse":
        return error_N.square().mean()
    if kind == "mae":
        return error_N.abs().mean()
    assert kind == "rmse", kind
    return (error_N.square() + PUBLISHED_RMSE_EPSILON).sqrt().mean()

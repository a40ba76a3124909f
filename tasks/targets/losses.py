"""Losses over the labelled positions of a batch.

Shapes: as in `mammal.tasks.batches.batch`; N labels that are not IGNORE or NaN, 2 readings of a vector head.
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
        logits_DRV: scores over `candidates_V`, or over the whole vocabulary if `candidates_V` is None.
        labels_DR: token ids, each of them a candidate, or IGNORE.
        candidates_V: sorted ids of the tokens that are scored, int64 [V]; None: the whole vocabulary.
        weights_DR: weight of each label's cross entropy. The sum is divided by the number of labels, not by the sum of
            weights. Otherwise a batch with only frequent classes would count more than its labels do in the whole set.
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
    """Error of predicted values, mean over labels that are not NaN; 0 if all are NaN.

    Args:
        values_DR: predicted values, float [D, R].
        label_values_DR: labels, float [D, R], NaN if unknown.
        kind: `mse`, `mae`, or `rmse`: the published loss of that name, sqrt(error² + 1e-6) for each value, which is
            nearly the absolute error and not a root mean square.
        bounds_DR: 1 if the truth is at or above the label, -1 if it is at or below the label, 0 if it equals the label.
            A prediction on the allowed side of a bound has no error: the one-sided loss of chemprop (`BoundedMSE`; Heid
            et al. 2024) for labels that are censored in the sense of Tobin (1958).
    """
    kept_DR = ~torch.isnan(label_values_DR)
    if not bool(kept_DR.any()):  # all numbers are missing; the mean of an empty tensor would be NaN
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


def vector_loss(outputs_B2F: Tensor, labels_BF: Tensor, kind: str) -> Tensor:
    """Error of predicted vectors, mean over both readings of known entries; 0 if no entry is known.

    Args:
        outputs_B2F: outputs of a vector head, float [B, 2, F] (`ModelOutput.vectors`).
        labels_BF: expected vectors, float [B, F], NaN where an entry is unknown.
        kind: `squared` error, or `binary`: cross entropy of labels 0 or 1, of which the outputs are logits.
    """
    known_B1F = ~torch.isnan(labels_BF).unsqueeze(1)
    expected_B2F = labels_BF.nan_to_num().unsqueeze(1).expand_as(outputs_B2F)
    if kind == "binary":
        error_B2F = F.binary_cross_entropy_with_logits(outputs_B2F.float(), expected_B2F, reduction="none")
    else:
        assert kind == "squared", kind
        error_B2F = (outputs_B2F.float() - expected_B2F).square()
    return (error_B2F * known_B1F).sum() / (2 * known_B1F.sum()).clamp(min=1)

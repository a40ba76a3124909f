"""Integrated gradients (Sundararajan, Taly & Yan 2017, arXiv:1703.01365) of rows of a batch, computed by captum.

The attribution of a token is the integral of the gradient along the straight line from the baseline to the row, times
their difference, summed over the entries of the embedding. Attributions sum to the output of the row minus that of its
baseline (completeness), but for the error of the numerical integral. The error is measured for each row, and the
integral is computed with more steps as long as it is too large.

Shapes: B rows, L tokens, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mammal.errors import ConfigError

if TYPE_CHECKING:
    from mammal.explanation.embedded import EmbeddedRows

STEPS = 32
MOST_STEPS = 1024
TOLERANCE = 0.01
SMALL = 0.1
"""Differences of outputs below this, in the scale of the model, are measured as if they were this large."""


@dataclass(frozen=True)
class Integrated:
    """Attributions of one row, in the scale of the model.

    Attributes:
        tokens_L: attribution of each token, float64 [L]; 0 for tokens that the baseline has, too.
        baseline: output of the baseline.
        difference: output of the row minus that of the baseline minus the sum of the attributions.
        steps: steps of the numerical integral.
    """

    tokens_L: np.ndarray
    baseline: float
    difference: float
    steps: int


def has_captum() -> bool:
    """Whether captum is installed."""
    return find_spec("captum") is not None


def require_captum() -> None:
    """Checks that captum is installed.

    Raises:
        ConfigError: it is not.
    """
    if not has_captum():
        hint = "pip install 'mammal[explain]', or method=occlusion, which needs no package"
        raise ConfigError("integrated gradients need the package captum", where="method", hint=hint)


def integrated_gradients(
    rows: EmbeddedRows, *, tokens: int, steps: int = STEPS, tolerance: float = TOLERANCE
) -> list[Integrated]:
    """Computes the attribution of each token of each row.

    Args:
        rows: the rows.
        tokens: maximum number of tokens, padding included, for which gradients are computed together.
        steps: steps of the integral at first. It is repeated with twice as many, up to `MOST_STEPS`, for the rows whose
            error is too large.
        tolerance: largest error of a row, as a share of output minus output of the baseline (of at least `SMALL`).

    Returns:
        One result for each row.
    """
    baselines_B = rows.baseline_outputs()
    wanted_B = rows.outputs_B - baselines_B
    found: dict[int, Integrated] = {}
    left = rows.rows_B
    while True:
        tokens_XL = _attributions(rows, left, steps, tokens)
        errors_X = wanted_B[left] - tokens_XL.sum(dim=1)
        close_X = errors_X.abs() <= tolerance * wanted_B[left].abs().clamp(min=SMALL)
        done_X = torch.ones_like(close_X) if steps >= MOST_STEPS else close_X
        for place in done_X.nonzero().squeeze(1).tolist():
            row = int(left[place])
            how = float(baselines_B[row]), float(errors_X[place]), steps
            found[row] = Integrated(tokens_XL[place].cpu().numpy(), *how)
        left, steps = left[~done_X], min(2 * steps, MOST_STEPS)
        if not len(left):
            return [found[row] for row in range(len(rows.rows_B))]


def _attributions(rows: EmbeddedRows, chosen_X: Tensor, steps: int, tokens: int) -> Tensor:
    """Attributions of the tokens of chosen rows of the batch, float64 [X, L]."""
    from captum.attr import IntegratedGradients

    inputs_XLW = rows.inputs_BLW[chosen_X]
    together = max(len(chosen_X), tokens // inputs_XLW.shape[1])
    with torch.enable_grad():
        attributions_XLW = IntegratedGradients(rows).attribute(
            inputs_XLW,
            baselines=rows.baselines_BLW[chosen_X],
            additional_forward_args=(chosen_X,),
            n_steps=steps,
            method="gausslegendre",
            internal_batch_size=together,
        )
    return attributions_XLW.detach().double().sum(dim=2)

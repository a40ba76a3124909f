"""What several members of an ensemble of fine-tuned models answer together.

Shapes: E members, B rows, K target columns, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mean_and_spread(members: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean of the numbers of members and their standard deviation, float64 [B, K].

    Args:
        members: numbers of each member, float [B, K].

    Returns:
        The mean, and the standard deviation with E - 1 in the denominator; NaN for one member.
    """
    values_EBK = np.stack([values_BK.astype(np.float64) for values_BK in members])
    if len(values_EBK) == 1:
        return values_EBK[0], np.full(values_EBK.shape[1:], np.nan)
    return values_EBK.mean(axis=0), values_EBK.std(axis=0, ddof=1)


def mean_probabilities(members: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the logarithms of the mean probabilities of members, float64 [B, K, C].

    Args:
        members: log-probabilities by each member, float64 [B, K, C].
    """
    if len(members) == 1:
        return members[0]
    return np.logaddexp.reduce(members, axis=0) - np.log(len(members))

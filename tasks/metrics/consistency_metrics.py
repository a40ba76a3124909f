"""Metrics of self-consistency: generated numbers compared with those computed from the generated molecule.

Answers with an invalid molecule are left out; `validity` counts them. NaN if there is nothing to compare.
Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

import numpy as np

from mammal.tasks.metrics import value_metrics
from mammal.tasks.metrics.answers import Answers


def consistency_mae(a: Answers) -> float:
    """Mean absolute difference, in the number's unit."""
    return value_metrics.mae(_compared(a))


def consistency_pearson(a: Answers) -> float:
    return value_metrics.pearson(_compared(a))


def _compared(a: Answers) -> Answers:
    """Pairs with the generated number as the answer, and the computed property of the molecule as the truth."""
    written_N = np.full(len(a), np.nan) if a.written_N is None else a.written_N
    readable_N = ~np.isnan(written_N)
    return Answers(written_N[readable_N], a.answer_N[readable_N])

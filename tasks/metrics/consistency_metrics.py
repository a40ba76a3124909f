"""Whether an answer agrees with itself: numbers that it tells beside those computed from the molecule that it wrote.

Answers whose molecule can't be read are left out; `validity` counts them. NaN where nothing can be compared.
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
    """What was told as the answer, and what the molecule has as the truth."""
    written_N = np.full(len(a), np.nan) if a.written_N is None else a.written_N
    readable_N = ~np.isnan(written_N)
    return Answers(written_N[readable_N], a.answer_N[readable_N])

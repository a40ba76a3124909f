"""Metrics of generated sequences, row by row: float64 [N].

Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

import numpy as np

from mammal.tasks.answers import Answers


def recovery(a: Answers) -> np.ndarray:
    """Amino-acid recovery (AAR; Jin et al. 2022): share of the truth's residues that stand at the same place, counted
    from the start, in the answer.

    The publication fills a given number of places, so truth and answer are equally long there. Where they are not, the
    places that an answer lacks count as wrong, and those that it has more of don't count.
    """
    return np.array([_recovered(truth, said) for truth, said in zip(a.truth_N, a.answer_N, strict=True)], np.float64)


def length_match(a: Answers) -> np.ndarray:
    """1 where the answer is as long as the truth."""
    return np.array([len(truth) == len(said) for truth, said in zip(a.truth_N, a.answer_N, strict=True)], np.float64)


def _recovered(truth: str, said: str) -> float:
    return sum(one == other for one, other in zip(truth, said, strict=False)) / len(truth)

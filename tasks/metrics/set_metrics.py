"""Metrics of the set of all answers compared with the set of all truths, as two sets of molecules.

`mammal.tasks.molecule_sets.judge` explains them. `mammal evaluate` computes them against whole files; here they are
computed over the evaluated rows, for tasks that name them.

Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

import logging
from functools import cache

import numpy as np

from mammal.tasks.metrics.answers import Answers
from mammal.tasks.molecule_sets import chemnet
from mammal.tasks.molecule_sets.similarity import cosine, internal_diversity, nearest_neighbour
from mammal.tasks.molecule_sets.summary import Summary, described, summarise

logger = logging.getLogger(__name__)


def fcd(a: Answers) -> float:
    """Fréchet ChemNet distance; NaN without the package `fcd`, or with fewer than two molecules in a set.

    Molecules whose SMILES is too long for ChemNet are left out; their number is logged.
    """
    if (why := chemnet.why_missing()) is not None:
        _tell_once(str(why))
        return float("nan")
    answers, truths = _moments(a.answer_N), _moments(a.truth_N)
    if answers is None or truths is None:
        return float("nan")
    return chemnet.frechet_distance(answers, truths)


def snn(a: Answers) -> float:
    """Mean similarity of an answer to the most similar one of all truths."""
    return nearest_neighbour(_summary(a.answer_N).bits_NB, _summary(a.truth_N).bits_NB)


def frag(a: Answers) -> float:
    """Cosine of the counts of BRICS fragments."""
    return cosine(_summary(a.answer_N).fragments, _summary(a.truth_N).fragments)


def scaf(a: Answers) -> float:
    """Cosine of the counts of Bemis-Murcko scaffolds."""
    return cosine(_summary(a.answer_N).scaffolds, _summary(a.truth_N).scaffolds)


def intdiv(a: Answers) -> float:
    """Internal diversity of the valid answers, p = 1."""
    return internal_diversity(_summary(a.answer_N).bits_NB, (1,))[0]


def _summary(smiles_N: np.ndarray) -> Summary:
    return summarise(described(smiles_N.tolist()), with_chemnet=False)


def _moments(smiles_N: np.ndarray) -> chemnet.Moments | None:
    canonical = [one.canonical for one in described(smiles_N.tolist()) if one is not None]
    if too_long := chemnet.count_too_long(canonical):
        logger.warning("fcd leaves out %d SMILES of more than %d characters", too_long, chemnet.LONGEST)
    return chemnet.moments(canonical)


@cache
def _tell_once(why: str) -> None:
    """Logs a reason; the cache keeps the same reason from being logged for every resample."""
    logger.warning("fcd is undefined: %s", why)

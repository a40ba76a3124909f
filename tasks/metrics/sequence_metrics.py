"""Metrics of generated sequences, by row: float64 [N].

Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

import logging
from functools import lru_cache

import numpy as np

from mammal.tasks.errors import DataError
from mammal.tasks.metrics.answers import Answers

logger = logging.getLogger(__name__)


def recovery(a: Answers) -> np.ndarray:
    """Amino-acid recovery (AAR; Jin et al. 2022): share of the truth's residues that the answer has at the same
    position, counted from the start.

    In the publication the number of residues is given, so truth and answer have equal lengths. If they differ here,
    missing residues of an answer count as wrong, and additional ones are ignored.
    """
    return np.array([_recovered(truth, said) for truth, said in zip(a.truth_N, a.answer_N, strict=True)], np.float64)


def length_match(a: Answers) -> np.ndarray:
    """1 if the answer is as long as the truth."""
    return np.array([len(truth) == len(said) for truth, said in zip(a.truth_N, a.answer_N, strict=True)], np.float64)


def esm2_pseudo_perplexity(a: Answers) -> np.ndarray:
    """Pseudo-perplexity of the answer under ESM-2 (`mammal.tasks.metrics.pseudo_perplexity`); the truth is not used.

    If the answer fills in a sequence, that of the completed sequence, because a loop alone is not a protein. NaN for
    answers that the model can't read, and for all answers if its weights are not on this machine.
    """
    return _naturalness(a, "esm2")


def antibody_pseudo_perplexity(a: Answers) -> np.ndarray:
    """Pseudo-perplexity of the answer under the antibody model AntiBERTy, for variable domains."""
    return _naturalness(a, "antibody")


def _naturalness(a: Answers, name: str) -> np.ndarray:
    from mammal.tasks.metrics.pseudo_perplexity import masked_model

    try:
        masked_model(name)
    except DataError as error:
        logger.warning("no pseudo-perplexity: %s", error)
        return np.full(len(a), np.nan)
    return np.array([_perplexity(text, name) for text in (a.answer_N if a.whole_N is None else a.whole_N)], np.float64)


@lru_cache(maxsize=1 << 14)
def _perplexity(text: str, name: str) -> float:
    """NaN for text that the model can't read; cached, because a metric and its interval use the same rows."""
    from mammal.tasks.metrics.pseudo_perplexity import masked_model, pseudo_perplexity

    try:
        return pseudo_perplexity(text, masked_model(name))
    except DataError:
        return float("nan")


def _recovered(truth: str, said: str) -> float:
    return sum(one == other for one, other in zip(truth, said, strict=False)) / len(truth)

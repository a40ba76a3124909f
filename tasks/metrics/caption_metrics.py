"""Metrics of generated text by words and characters: BLEU, ROUGE, edit distance. NaN if their package is missing.

BLEU is the corpus score (Papineni et al. 2002), 0 to 1, without smoothing, with one reference for each answer. The
n-grams of all rows are counted together, so it is not a mean over rows. `bleu_2` and `bleu_4` count n-grams of up to
two and four words, in lower case, with punctuation as separate words (tokenisation 13a of WMT, from sacrebleu). MolT5
(Edwards et al. 2022) counts word pieces of SciBERT, so its results for captions are similar but not equal to these.
`char_bleu` counts n-grams of up to four characters, as MolT5 does for molecules.

ROUGE (Lin 2004) is the mean over rows of the F-measure, without stemming, computed with rouge-score as in MolT5. METEOR
is not available, because it needs WordNet.

Shapes: N rows that have both truth and answer, S counts of a row: matches and n-grams of each order, two lengths.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.util import find_spec

import numpy as np

from mammal.tasks.metrics.answers import Answers

logger = logging.getLogger(__name__)

ORDER = 4
"""Maximum length of n-grams."""


def word_counts(a: Answers) -> np.ndarray:
    """Returns the counts of each row from which `bleu` is computed, for words: float64 [N, S]."""
    return _counts(a, "13a")


def character_counts(a: Answers) -> np.ndarray:
    """Returns the counts of each row from which `bleu` is computed, for characters: float64 [N, S]."""
    return _counts(a, "char")


def bleu(counts_S: np.ndarray, order: int) -> float:
    """Returns BLEU from counts summed over rows; NaN if there is nothing to count.

    Args:
        counts_S: sums of the counts, float64 [S].
        order: maximum length of n-grams.
    """
    if not np.isfinite(counts_S).all() or not counts_S[-1]:
        return float("nan")
    from sacrebleu.metrics.bleu import BLEU

    counts = counts_S.round().astype(int).tolist()
    correct, total, (answered, expected) = counts[:order], counts[ORDER : ORDER + order], counts[-2:]
    score = BLEU.compute_bleu(correct, total, answered, expected, smooth_method="none", max_ngram_order=order)
    return float(score.score) / 100


def rouge_1(a: Answers) -> np.ndarray:
    """F-measure of shared words."""
    return _rouge(a, "rouge1")


def rouge_2(a: Answers) -> np.ndarray:
    """F-measure of shared pairs of neighbouring words."""
    return _rouge(a, "rouge2")


def rouge_l(a: Answers) -> np.ndarray:
    """F-measure of the longest common subsequence of words."""
    return _rouge(a, "rougeL")


def levenshtein(a: Answers) -> np.ndarray:
    """Edit distance (Levenshtein 1966) over the length of the longer text, 0 (equal) to 1."""
    if not _has("rapidfuzz"):
        return np.full(len(a), np.nan)
    from rapidfuzz.distance.Levenshtein import normalized_distance

    return _pairwise(a, normalized_distance)


def edit_distance(a: Answers) -> np.ndarray:
    """Edit distance: number of characters to insert, delete or replace."""
    if not _has("rapidfuzz"):
        return np.full(len(a), np.nan)
    from rapidfuzz.distance.Levenshtein import distance

    return _pairwise(a, distance)


def _pairwise(a: Answers, of: Callable[[str, str], float]) -> np.ndarray:
    return np.array([of(truth, said) for truth, said in zip(a.truth_N, a.answer_N, strict=True)], dtype=np.float64)


def _rouge(a: Answers, name: str) -> np.ndarray:
    if not _has("rouge_score"):
        return np.full(len(a), np.nan)
    return _pairwise(a, lambda truth, said: _rouges(truth, said)[name])


@lru_cache(maxsize=1 << 15)
def _rouges(truth: str, said: str) -> dict[str, float]:
    """F-measures of a row; cached, because three metrics and their intervals use the same rows."""
    from rouge_score.rouge_scorer import RougeScorer

    found = RougeScorer(["rouge1", "rouge2", "rougeL"]).score(truth, said)
    return {name: score.fmeasure for name, score in found.items()}


def _counts(a: Answers, tokenize: str) -> np.ndarray:
    if not _has("sacrebleu"):
        return np.full((len(a), 2 * ORDER + 2), np.nan)
    rows = [_ngrams(truth, said, tokenize) for truth, said in zip(a.truth_N, a.answer_N, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(len(a), 2 * ORDER + 2)


@lru_cache(maxsize=1 << 15)
def _ngrams(truth: str, said: str, tokenize: str) -> tuple[float, ...]:
    """Numbers of matches and of n-grams of each order in an answer, and the lengths of answer and truth."""
    from sacrebleu.metrics.bleu import BLEU

    # Case distinguishes atoms in SMILES; for words it is ignored. Effective order only avoids a warning.
    scorer = BLEU(lowercase=tokenize != "char", tokenize=tokenize, max_ngram_order=ORDER, effective_order=True)
    found = scorer.sentence_score(said, [truth])
    return (*found.counts, *found.totals, found.sys_len, found.ref_len)


@cache
def _has(package: str) -> bool:
    if find_spec(package) is not None:
        return True
    logger.warning(
        "metrics that %s computes are undefined: it is not installed (pip install 'mammal[generation]')", package
    )
    return False

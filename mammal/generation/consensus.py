"""The consensus of sampled sequences: at each place the token that most of them have.

It maximises the expected number of right places (minimum Bayes risk under the Hamming distance: Kumar and Byrne 2004,
NAACL; for sequences of one length). The single likeliest sequence, which beam search looks for, maximises the chance
that all places are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mammal.generation.samples import Sample


def consensus_of(samples: Sequence[Sample]) -> Sample:
    """Returns the consensus of the samples of a row; its likelihood is unknown.

    If several tokens are equally frequent at a place, that of the likeliest sample counts.

    Args:
        samples: at least one; all have the same length.
    """
    by_likelihood = sorted(samples, key=lambda sample: -np.inf if sample.score is None else sample.score, reverse=True)
    ids_NT = np.array([sample.ids for sample in by_likelihood])
    chosen = tuple(_commonest(ids_N) for ids_N in ids_NT.T)
    draws = sum(sample.draws for sample in samples)
    return replace(by_likelihood[0], ids=chosen, score=None, draws=draws, problem=None, log_share=0.0)


def _commonest(ids_N: np.ndarray) -> int:
    """The commonest id; of equally frequent ones that which comes first."""
    _, index_N, counts = np.unique(ids_N, return_inverse=True, return_counts=True)
    return int(ids_N[counts[index_N].argmax()])

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

    If several tokens are equally frequent at a place, that of the likeliest sample counts. Samples of other lengths
    than most of them are left out.

    Args:
        samples: at least one.
    """
    by_likelihood = sorted(samples, key=lambda sample: -np.inf if sample.score is None else sample.score, reverse=True)
    lengths = [len(sample.ids) for sample in by_likelihood]
    most = max(lengths, key=lengths.count)
    ids_NT = np.array([sample.ids for sample in by_likelihood if len(sample.ids) == most])
    counts_NT = (ids_NT[:, None, :] == ids_NT[None, :, :]).sum(axis=1)
    chosen_T = ids_NT[counts_NT.argmax(axis=0), np.arange(most)]
    return replace(by_likelihood[0], ids=tuple(chosen_T.tolist()), score=None, draws=len(samples), problem=None)

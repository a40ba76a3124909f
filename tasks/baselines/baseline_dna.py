"""DNA features of the baselines: k-mers of a sequence, and a description of the variant in it.

    dna_kmers     counts of 1- to 6-mers of the reference sequence, a k-mer and its reverse complement as one (as in
                  gkm-SVM, Ghandi et al. 2014, doi 10.1371/journal.pcbi.1003711), and, since promoters have a direction,
                  counts of 1- to 3-mers of the strand as written: 2,856 columns, none of them hashed
    dna_variant   the change of the variant, without the rest of the window:
                  the same k-mers of the alternate minus those of the reference sequence; its class (`CLASSES`); the
                  substitution (6 kinds) and the substitution between its neighbours (96 kinds), on the strand of the
                  pyrimidine; bases gained or lost, and whether they shift a reading frame; its position in the window;
                  the alternate's frequency, if the text gives it; 1- to 3-mers of 20 bases on either side

Random forests use k-mers up to 4, linear models up to 6: trees gain little from columns that are nearly always 0, and
are slow with thousands of them. If a text has several variants, the k-mers are those of all of them, and the first one
is described. These features were fixed before any result was seen, like the others.

Shapes: N texts, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mammal.tasks.dna.sequence_features import CONTEXTS, kmer_counts, variant_changes
from mammal.tokenization.variants import reference

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["CONTEXTS", "LONGEST", "LONGEST_OF_TREES", "dna_everything", "dna_kmers", "dna_variant", "kmer_counts"]

LONGEST, LONGEST_OF_TREES = 6, 4


def dna_kmers(longest: int = LONGEST) -> Callable[[Sequence[str]], csr_matrix]:
    """Returns a featuriser: texts with variants in place -> k-mer counts of their reference sequences, [N, F].

    Args:
        longest: maximum length of k-mers.
    """
    return lambda texts: kmer_counts([reference(text) for text in texts], longest)


def dna_variant(longest: int = LONGEST) -> Callable[[Sequence[str]], csr_matrix]:
    """Returns a featuriser: texts with variants in place -> description of the change, [N, F].

    A text without a variant gives zeros.

    Args:
        longest: maximum length of k-mers.
    """
    return lambda texts: variant_changes(texts, longest)


def dna_everything(longest: int = LONGEST) -> Callable[[Sequence[str]], csr_matrix]:
    """Returns a featuriser that concatenates the features of `dna_kmers` and `dna_variant`, for tasks with several
    columns."""

    def features(texts: Sequence[str]) -> csr_matrix:
        from scipy.sparse import hstack

        return hstack([dna_kmers(longest)(texts), dna_variant(longest)(texts)]).tocsr()

    return features

"""Features of DNA text: k-mers of a sequence, and a description of the variant in it.

    kmer_counts       counts of 1- to 6-mers, a k-mer and its reverse complement as one (as in gkm-SVM, Ghandi et al.
                      2014, doi 10.1371/journal.pcbi.1003711), and, since promoters have a direction, counts of 1- to
                      3-mers of the strand as written: 2,856 columns, none of them hashed
    variant_changes   the change of the variant, without the rest of the window:
                      the same k-mers of the alternate minus those of the reference sequence; its class (`CLASSES`);
                      the substitution (6 kinds) and the substitution between its neighbours (96 kinds), on the strand
                      of the pyrimidine; bases gained or lost, and whether they shift a reading frame; its position in
                      the window; the alternate's frequency, if the text gives it; 1- to 3-mers of 20 bases on either
                      side

If a text has several variants, the k-mers are those of all of them, and the first one is described. Baselines
(`mammal.tasks.baselines.baseline_dna`) and the feature `variant` of probes use them.

Shapes: N texts, F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.dna.change import CLASSES, PYRIMIDINES, Change, change_at
from mammal.tasks.views.dna import Located, located
from mammal.tokenization.strands import reverse_complement
from mammal.tokenization.variants import alternate

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LONGEST_AS_WRITTEN = 3
"""Maximum length of the k-mers that are also counted on the strand as written."""

NEAR = 20
"""Number of bases on either side of a variant that are described by k-mers."""

BASES = "ACGT"
SUBSTITUTIONS = tuple(f"{ref}>{alt}" for ref in PYRIMIDINES for alt in BASES if alt != ref)
CONTEXTS = tuple(f"{a}[{change}]{b}" for change, a, b in product(SUBSTITUTIONS, BASES, BASES))
_PLACES = {name: place for place, name in enumerate((*CLASSES, *SUBSTITUTIONS, *CONTEXTS))}
NUMBERS = 7
"""Count of numbers that describe a variant, in addition to its kinds (`_numbers`)."""

CHUNK = 1024
"""Number of sequences processed at once; limits the memory."""

_OTHER = 4
_CODES = np.full(256, _OTHER, dtype=np.int64)
for _code, _base in enumerate(BASES):
    _CODES[ord(_base)] = _code


def variant_changes(texts: Sequence[str], longest: int) -> csr_matrix:
    """Describes the change of each text with variants in place, float32 [N, F]; zeros for a text without a variant.

    Args:
        texts: N texts in in-place notation.
        longest: maximum length of k-mers.

    Raises:
        PromptError: a text is not valid in-place notation.
    """
    from scipy.sparse import csr_matrix, hstack

    wholes = [located(text) for text in texts]
    pairs = [_stretches(whole, longest - 1) for whole in wholes]
    gained = kmer_counts([alt for _, alt in pairs], longest) - kmer_counts([ref for ref, _ in pairs], longest)
    described = np.array([_described(whole) for whole in wholes], dtype=np.float32)
    around = kmer_counts([_surroundings(whole) for whole in wholes], LONGEST_AS_WRITTEN)
    return hstack([gained, csr_matrix(described.reshape(len(texts), -1)), around]).tocsr()


def variant_width(longest: int) -> int:
    """Returns F, the number of features of `variant_changes`.

    Args:
        longest: maximum length of k-mers.
    """
    return _width(longest) + len(_PLACES) + NUMBERS + _width(LONGEST_AS_WRITTEN)


def kmer_counts(sequences: Sequence[str], longest: int) -> csr_matrix:
    """Counts k-mers without ambiguous bases.

    Args:
        sequences: N sequences.
        longest: maximum length of k-mers.

    Returns:
        float32 [N, F]: counts of 1- to `longest`-mers of both strands together, then of 1- to 3-mers as written.
    """
    from scipy.sparse import coo_matrix, csr_matrix, vstack

    parts = [csr_matrix((0, _width(longest)), dtype=np.float32)]
    for start in range(0, len(sequences), CHUNK):
        chunk = sequences[start : start + CHUNK]
        rows, columns = (np.concatenate(found) for found in zip(*_kmers(chunk, longest), strict=True))
        ones = np.ones(len(rows), dtype=np.float32)
        parts.append(coo_matrix((ones, (rows, columns)), shape=(len(chunk), _width(longest))).tocsr())
    return vstack(parts).tocsr()


def _kmers(sequences: Sequence[str], longest: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each block of columns, the row and the column of every k-mer."""
    bases = _CODES[np.frombuffer("N".join([*sequences, ""]).encode("ascii"), dtype=np.uint8)]
    rows = np.repeat(np.arange(len(sequences)), [len(text) + 1 for text in sequences])
    words, whole, column = np.zeros_like(bases), np.ones(len(bases), dtype=bool), 0
    written = []
    for k in range(1, longest + 1):
        words = words[: len(words) - (k > 1)] * len(BASES) + bases[k - 1 :]
        whole = whole[: len(whole) - (k > 1)] & (bases[k - 1 :] != _OTHER)
        numbers, size = _canonical(k)
        yield rows[: len(words)][whole], column + numbers[words[whole]]
        column += size
        if k <= LONGEST_AS_WRITTEN:
            written.append((rows[: len(words)][whole], words[whole]))
    for k, (of, codes) in enumerate(written, start=1):
        yield of, column + codes
        column += len(BASES) ** k


@lru_cache
def _canonical(k: int) -> tuple[np.ndarray, int]:
    """For each k-mer its number, shared with its reverse complement, and the count of distinct numbers."""
    words = ["".join(letters) for letters in product(BASES, repeat=k)]
    numbers: dict[str, int] = {}
    of_words = [numbers.setdefault(min(word, reverse_complement(word)), len(numbers)) for word in words]
    return np.array(of_words), len(numbers)


def _width(longest: int) -> int:
    as_written = range(1, min(longest, LONGEST_AS_WRITTEN) + 1)
    return sum(_canonical(k)[1] for k in range(1, longest + 1)) + sum(len(BASES) ** k for k in as_written)


def _stretches(whole: Located, flank: int) -> tuple[str, str]:
    """The differing parts of the reference and the alternate sequence, with `flank` bases on either side."""
    if not whole.placed:
        return "", ""
    start, end = max(0, whole.placed[0].start - flank), whole.placed[-1].end + flank
    moved = tuple(type(at)(at.start - start, at.variant) for at in whole.placed)
    window = whole.window[start:end]
    return window, alternate(str(Located(window, moved)))


def _surroundings(whole: Located) -> str:
    """The bases on both sides of the first variant, with an N in place of its alleles."""
    if not whole.placed:
        return ""
    at = whole.placed[0]
    return f"{whole.window[max(0, at.start - NEAR) : at.start]}N{whole.window[at.end : at.end + NEAR]}"


def _described(whole: Located) -> np.ndarray:
    """Kinds of the first variant as zeros and ones, then its numbers."""
    found = np.zeros(len(_PLACES) + NUMBERS, dtype=np.float32)
    if whole.placed:
        at = whole.placed[0]
        change = change_at(whole.window, at)
        context = change.pyrimidine_context
        kinds = {change.sort, context, context[2:5]}
        found[[_PLACES[kind] for kind in kinds if kind in _PLACES]] = 1
        frequency = at.variant.frequencies[0] if at.variant.frequencies else 0.0
        found[len(_PLACES) :] = [*_numbers(change), frequency, float(bool(at.variant.frequencies))]
    return found


def _numbers(change: Change) -> list[float]:
    """Bases gained, log length of the longer allele, frame shift, position in the window, distance from its middle."""
    longer = max(len(change.ref), len(change.alt))
    return [change.growth, np.log(longer), float(change.growth % 3 != 0), change.place, abs(change.place - 0.5)]

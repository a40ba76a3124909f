"""Which parts of a variant the encoding of a published variant-aware DNA model keeps, counted from facts of its code.

BMFM-DNA (arXiv 2507.05265; the code is public as BiomedSciAI/biomed-multi-omic, `bmfm_targets/datasets/SNPdb`) writes
one symbol for the pair of alleles at a base. An allele is one of eleven: A, C, G, T or N, each of these followed by an
insertion, or a deletion. So 55 pairs of different alleles have a symbol. The two alleles are sorted by name, so the
symbol does not show which is the reference. Inserted bases are not written. Of three alleles, two are sampled.
Ambiguity codes become N. A frequency is used for sampling and is not written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mammal.tokenization.variants import Variant, parse_variants

ALLELES = 11
HETEROZYGOUS = ALLELES * (ALLELES - 1) // 2
UNKNOWN_TO_ITSELF = "17 to 54"
"""How many heterozygous symbols its own tokenizer files read as [UNK]; the number depends on the file."""


@dataclass
class Kept:
    """Counts of variants and of their inserted bases.

    Attributes:
        variants: number of variants.
        inserted: bases of alternate alleles beyond the length of the reference.
        with_insertions: number of variants that have such bases.
    """

    variants: int = 0
    inserted: int = 0
    with_insertions: int = 0


def keep(texts: Iterable[str]) -> Kept:
    """Counts the variants that are written in place in `texts`."""
    kept = Kept()
    for text in texts:
        for variant in parse_variants(text):
            if isinstance(variant, Variant):
                kept.variants += 1
                more = sum(max(0, len(alt) - len(variant.ref)) for alt in variant.alts)
                kept.inserted += more
                kept.with_insertions += more > 0
    return kept

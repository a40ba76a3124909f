"""What the encoding of a published variant-aware DNA model keeps of a variant; facts of its code, counted here.

BMFM-DNA (arXiv 2507.05265; the code is public as BiomedSciAI/biomed-multi-omic, `bmfm_targets/datasets/SNPdb`) writes
one symbol for the pair of alleles at a base. An allele is one of eleven: A, C, G, T or N, each of these with an
insertion behind it, or a deletion. So 55 pairs of different alleles have a symbol. The two are sorted by their names,
so it can't be told which is the reference; inserted bases are not written; of three alleles two are drawn; ambiguity
codes become N; a frequency decides what is drawn and is not written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mammal.tokenization.variants import Variant, parse

ALLELES = 11
HETEROZYGOUS = ALLELES * (ALLELES - 1) // 2
UNKNOWN_TO_ITSELF = "17 to 54"
"""Of the heterozygous symbols, how many its shipped tokenizer files read as [UNK], by which file is loaded."""


@dataclass
class Kept:
    """What is left of some variants, and what is not.

    Attributes:
        variants: how many were written.
        inserted: bases that stand in alternate alleles beyond the length of the reference.
        with_insertions: variants that have such bases.
    """

    variants: int = 0
    inserted: int = 0
    with_insertions: int = 0


def keep(texts: Iterable[str]) -> Kept:
    """Counts over texts in place."""
    kept = Kept()
    for text in texts:
        for variant in parse(text):
            if isinstance(variant, Variant):
                kept.variants += 1
                more = sum(max(0, len(alt) - len(variant.ref)) for alt in variant.alts)
                kept.inserted += more
                kept.with_insertions += more > 0
    return kept

"""The other strand of DNA, for plain bases and for text that contains variants (`mammal.tokenization.variants`)."""

from __future__ import annotations

from dataclasses import replace

from mammal.tokenization.errors import PromptError
from mammal.tokenization.variants import BASES, Variant, parse_variants

COMPLEMENT = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")
"""Watson-Crick partners, including ambiguity codes (IUPAC-IUB 1984, doi 10.1093/nar/13.9.3021)."""


def reverse_complement(bases: str) -> str:
    """Returns the other strand, read 5' to 3', in upper case.

    Args:
        bases: the DNA sequence.

    Raises:
        PromptError: a letter is not a base.
    """
    folded = bases.upper()
    if not BASES.issuperset(folded):
        wrong = next(letter for letter in folded if letter not in BASES)
        raise PromptError(f"{wrong!r} is not a base")
    return folded.translate(COMPLEMENT)[::-1]


def reverse_complement_in_place(text: str) -> str:
    """Returns in-place text on the other strand: `AC[A/GT:0.2]TT` becomes `AA[T/AC:0.2]GT`.

    Alleles keep their order (the reference stays first) and their frequencies, because these belong to the molecule and
    not to a strand. Applying the function twice returns the original text. VCF files place an insertion or deletion in
    a repeat as far left as possible. On the other strand it is as far right as possible: the same change, written at
    the other end of the repeat.

    Args:
        text: DNA text in in-place notation.

    Raises:
        PromptError: the text is not in in-place notation.
    """
    pieces = reversed(parse_variants(text))
    return "".join(reverse_complement(p) if isinstance(p, str) else str(_reversed(p)) for p in pieces)


def _reversed(variant: Variant) -> Variant:
    alts = tuple(map(reverse_complement, variant.alts))
    return replace(variant, ref=reverse_complement(variant.ref), alts=alts)

"""What a variant changes, in the words of the field: its class, its alleles, and the bases around it.

class      SNV, MNV, insertion, deletion, delins          by the lengths of the alleles
context    A[C>T]G                                         a substitution between its neighbours
"""

from __future__ import annotations

from dataclasses import dataclass

from mammal.tasks.views.dna import located
from mammal.tokenization.strands import reverse_complement
from mammal.tokenization.variants import Placed

CLASSES = ("SNV", "MNV", "insertion", "deletion", "delins")
"""One base for another, several for as many others, bases gained, bases lost, bases for another number of others."""

PYRIMIDINES = "CT"


@dataclass(frozen=True)
class Change:
    """The first alternate allele of a variant, with the bases around it.

    Attributes:
        ref, alt: the alleles; "" for no bases.
        before, after: the neighbouring base on either side; "" at an end of the window.
        place: where the variant stands in the window, from 0 (its first base) to 1.
    """

    ref: str
    alt: str
    before: str
    after: str
    place: float

    @property
    def sort(self) -> str:
        """One of `CLASSES`."""
        if not self.ref:
            return "insertion"
        if not self.alt:
            return "deletion"
        if len(self.ref) != len(self.alt):
            return "delins"
        return "SNV" if len(self.ref) == 1 else "MNV"

    @property
    def growth(self) -> int:
        """Bases that the alternate has more than the reference."""
        return len(self.alt) - len(self.ref)

    @property
    def context(self) -> str:
        """`A[C>T]G`, on the strand as written; "" for all but substitutions of one base within a window."""
        if self.sort != "SNV" or not (self.before and self.after):
            return ""
        return f"{self.before}[{self.ref}>{self.alt}]{self.after}"

    @property
    def pyrimidine_context(self) -> str:
        """The same on the strand whose reference base is C or T, as mutational signatures are counted: 96 of them
        (Alexandrov et al. 2013, doi 10.1038/nature12477)."""
        if not self.context or self.ref in PYRIMIDINES:
            return self.context
        ref, alt, before, after = map(reverse_complement, (self.ref, self.alt, self.after, self.before))
        return f"{before}[{ref}>{alt}]{after}"


def first_change(text: str) -> Change | None:
    """What the first variant of in-place text changes; None for text without one.

    Raises:
        PromptError: the text is no in-place notation.
    """
    whole = located(text)
    return change_at(whole.window, whole.placed[0]) if whole.placed else None


def change_at(window: str, at: Placed) -> Change:
    """What a variant of a reference window changes."""
    before, after = window[max(0, at.start - 1) : at.start], window[at.end : at.end + 1]
    return Change(at.variant.ref, at.variant.alts[0], before, after, at.start / max(1, len(window)))

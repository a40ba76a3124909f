"""Description of the change of a variant: its class, its alleles, and the bases around it.

class      SNV, MNV, insertion, deletion, delins          defined by the lengths of the alleles
context    A[C>T]G                                         a substitution between its neighbours
"""

from __future__ import annotations

from dataclasses import dataclass

from mammal.tasks.views.dna import located
from mammal.tokenization.strands import reverse_complement
from mammal.tokenization.variants import Placed

CLASSES = ("SNV", "MNV", "insertion", "deletion", "delins")
"""One base replaced, several bases replaced by as many, bases inserted, bases deleted, bases replaced by a different
number of bases."""

PYRIMIDINES = "CT"


@dataclass(frozen=True)
class Change:
    """The first alternate allele of a variant, with the bases around it.

    Attributes:
        ref: reference allele; "" for no bases.
        alt: alternate allele; "" for no bases.
        before: base before the variant; "" at the start of the window.
        after: base behind the variant; "" at the end of the window.
        place: relative position of the variant in the window, from 0 (first base) to 1.
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
        """Length of the alternate allele minus that of the reference allele, in bases."""
        return len(self.alt) - len(self.ref)

    @property
    def context(self) -> str:
        """The substitution with its neighbours, such as `A[C>T]G`, on the strand as written.

        It is "" for anything but a substitution of one base with two neighbours in the window.
        """
        if self.sort != "SNV" or not (self.before and self.after):
            return ""
        return f"{self.before}[{self.ref}>{self.alt}]{self.after}"

    @property
    def pyrimidine_context(self) -> str:
        """The context on the strand with C or T as reference base, as for mutational signatures: one of 96
        (Alexandrov et al. 2013, doi 10.1038/nature12477)."""
        if not self.context or self.ref in PYRIMIDINES:
            return self.context
        ref, alt, before, after = map(reverse_complement, (self.ref, self.alt, self.after, self.before))
        return f"{before}[{ref}>{alt}]{after}"


def first_change(text: str) -> Change | None:
    """Returns the change of the first variant of in-place text; None for text without a variant.

    Raises:
        PromptError: the text is not valid in-place notation.
    """
    whole = located(text)
    return change_at(whole.window, whole.placed[0]) if whole.placed else None


def change_at(window: str, at: Placed) -> Change:
    """Returns the change of a variant.

    Args:
        window: the reference bases.
        at: the variant, with its position in the window.
    """
    before, after = window[max(0, at.start - 1) : at.start], window[at.end : at.end + 1]
    return Change(at.variant.ref, at.variant.alts[0], before, after, at.start / max(1, len(window)))

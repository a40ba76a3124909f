"""The same window of a genome twice: with the reference allele, and with an alternate one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mammal.tokenization.strands import reverse_complement


@dataclass(frozen=True)
class AllelePair:
    """A window with two alleles, written as the bases that both share and the bases that differ.

    `before + ref + after` and `before + alt + after` are the two sequences; the flanks are aligned base by base, so
    positions of the two correspond: those before the site from the left, those behind it from the right.

    Attributes:
        before, after: shared flanks, upper case.
        ref, alt: the alleles without shared bases; "" where there are none.
        number: of the alternate allele, as genotypes of a VCF file count them: 1 for the first.
        strand: "+" as in the genome, "-" for the other strand.
    """

    before: str
    ref: str
    alt: str
    after: str
    number: int = 1
    strand: str = "+"

    @property
    def reference(self) -> str:
        return self.before + self.ref + self.after

    @property
    def alternate(self) -> str:
        return self.before + self.alt + self.after

    @property
    def in_place(self) -> str:
        """The variant written in place, as prompts have it."""
        return f"{self.before}[{self.ref or '-'}/{self.alt or '-'}]{self.after}"

    def reversed(self) -> AllelePair:
        """The same two sequences on the other strand."""
        return replace(
            self,
            before=reverse_complement(self.after),
            ref=reverse_complement(self.ref),
            alt=reverse_complement(self.alt),
            after=reverse_complement(self.before),
            strand="-" if self.strand == "+" else "+",
        )

"""A window of a genome in two versions: with the reference allele, and with an alternate allele."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mammal.tokenization.strands import reverse_complement


@dataclass(frozen=True)
class AllelePair:
    """A window with two alleles, stored as the bases that both share and the bases that differ.

    `before + ref + after` and `before + alt + after` are the two sequences; the flanks are aligned base by base, so
    positions of the two correspond: those before the site from the left, those behind it from the right.

    Attributes:
        before: shared flank before the site, upper case.
        ref: reference allele without shared bases; "" if nothing is left.
        alt: alternate allele without shared bases; "" if nothing is left.
        after: shared flank behind the site, upper case.
        number: number of the alternate allele in genotypes of a VCF file: 1 for the first.
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
        """The window with the variant written in place, as in prompts."""
        return f"{self.before}[{self.ref or '-'}/{self.alt or '-'}]{self.after}"

    def reversed(self) -> AllelePair:
        """Returns the same two sequences on the other strand."""
        return replace(
            self,
            before=reverse_complement(self.after),
            ref=reverse_complement(self.ref),
            alt=reverse_complement(self.alt),
            after=reverse_complement(self.before),
            strand="-" if self.strand == "+" else "+",
        )

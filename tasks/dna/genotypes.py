"""Genotypes of VCF files: the alleles of a sample, and their assignment to chromosome copies (phase).

    0/1   heterozygous            0|1   the same, phased: the first haplotype has the reference
    1/1   homozygous              1     haploid (chrX of a man, mitochondria)
    ./.   not called              .|1   one allele not called

VCF 4.3, section 1.6.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mammal.tasks.errors import DataError

_GENOTYPE = re.compile(r"[/|]?(?:\d+|\.)(?:[/|](?:\d+|\.))*")
_MISSING = "."


@dataclass(frozen=True)
class Genotype:
    """Alleles of one sample at one site.

    Attributes:
        alleles: number of the allele on each chromosome copy, 0 for the reference; None if it was not called.
        phased: whether the alleles are in the order of the haplotypes.
        phase_set: name of the phase set; sites of one set have their haplotypes in the same order. "" if the file names
            none.
    """

    alleles: tuple[int | None, ...]
    phased: bool = False
    phase_set: str = ""

    @property
    def called(self) -> bool:
        """Whether every allele is known."""
        return None not in self.alleles

    @property
    def heterozygous(self) -> bool:
        return len(set(self.alleles)) > 1

    def dosage(self, number: int | None = None) -> int | None:
        """Returns the number of copies of an allele; None if the genotype is not called.

        Args:
            number: number of the allele; None: count all alternate alleles.
        """
        if not self.called:
            return None
        return sum(allele != 0 if number is None else allele == number for allele in self.alleles)

    def on(self, haplotype: int) -> int | None:
        """Returns the allele on haplotype 1 or 2; for a homozygous genotype no phase is needed.

        Returns:
            Number of the allele; None if it was not called.

        Raises:
            DataError: the genotype is heterozygous and not phased, or there is no such haplotype.
        """
        if haplotype > len(self.alleles):
            copies = f"{len(self.alleles)} chromosome cop{'y' if len(self.alleles) == 1 else 'ies'}"
            raise DataError(f"the genotype {self} has {copies}, so there is no haplotype {haplotype}")
        if self.heterozygous and not self.phased:
            hint = "phase the file, or render in_place"
            raise DataError(f"the genotype {self} is not phased: its haplotypes are not known", hint=hint)
        return self.alleles[haplotype - 1]

    def __str__(self) -> str:
        return ("|" if self.phased else "/").join(_MISSING if a is None else str(a) for a in self.alleles)


def parse_genotype(text: str, count: int, phase_set: str = "") -> Genotype:
    """Parses a GT value.

    Args:
        text: such as `0|1`.
        count: number of the site's alleles, including the reference.
        phase_set: name of the phase set.

    Raises:
        DataError: the text is not a genotype, or names an allele that the site does not have.
    """
    genotype = _COMMON.get(text)
    if genotype is None:
        if not _GENOTYPE.fullmatch(text):
            raise DataError(f"{text!r} is not a genotype", hint="such as 0/1, 0|1, 1 or ./.")
        numbers = [None if part == _MISSING else int(part) for part in re.split(r"[/|]", text.lstrip("/|"))]
        genotype = Genotype(tuple(numbers), phased="/" not in text)
    highest = max((number for number in genotype.alleles if number is not None), default=0)
    if highest >= count:
        raise DataError(f"the genotype {text} names allele {highest}, but the site has {count} alleles")
    return Genotype(genotype.alleles, genotype.phased, phase_set) if phase_set else genotype


def sample_genotype(form: str, cell: str, count: int) -> Genotype:
    """Reads the genotype from a sample's cell.

    Args:
        form: the record's FORMAT, such as `GT:DP:PS`.
        cell: the sample's values; the last ones may be missing.
        count: number of the site's alleles, including the reference.

    Raises:
        DataError: the record has no genotypes, or this genotype can't be read.
    """
    keys, values = form.split(":"), cell.split(":")
    if keys[0] != "GT":
        raise DataError(f"the record has no genotypes: its FORMAT is {form!r}, which begins without GT")
    phase_set = _value(keys, values, "PS")
    return parse_genotype(values[0], count, phase_set)


def _value(keys: Sequence[str], values: Sequence[str], key: str) -> str:
    place = keys.index(key) if key in keys else len(values)
    return values[place] if place < len(values) and values[place] != _MISSING else ""


_COMMON = {f"{a}{sign}{b}": Genotype((a, b), sign == "|") for a in range(3) for b in range(3) for sign in "/|"}

"""One record of a variant file: a site and its alleles, on the plus strand of a genome."""

from __future__ import annotations

from dataclasses import dataclass

MISSING = "."
"""What a variant file writes where a value is missing."""

_SHOWN = 20
"""Letters of an allele that an error message shows."""


@dataclass(frozen=True)
class Site:
    """A place in a genome with the alleles that are known there.

    Attributes:
        chrom: name of the sequence.
        pos: position of the first base of `ref`, counted from 1.
        ref: reference allele, at least one base, as VCF writes it (an insertion keeps the base before it).
        alts: alternate alleles as the file spells them; symbolic ones (`<DEL>`, `*`, breakends) included.
        frequencies: of each alternate allele, None where the file does not say.
        genotypes: sample -> the numbers of its alleles (None: not called), and whether they are phased.
        phase_sets: of each genotype: haplotypes of one set are in the same order at all its sites; "" where not said.
        id: the record's name, "" where it has none.
        where: what an error calls it, such as `calls.vcf.gz, record 17 (chr1:1234 A>G)`.
    """

    chrom: str
    pos: int
    ref: str
    alts: tuple[str, ...]
    frequencies: tuple[float | None, ...] = ()
    genotypes: tuple[tuple[str, tuple[int | None, ...], bool], ...] = ()
    phase_sets: tuple[str, ...] = ()
    id: str = ""
    where: str = ""


def shown(allele: str) -> str:
    """An allele for an error message, a long one cut."""
    return allele if len(allele) <= _SHOWN else f"{allele[:_SHOWN]}…"


def describe(site: Site) -> str:
    """What an error calls a site."""
    return site.where or f"{site.chrom}:{site.pos} {shown(site.ref)}>{','.join(map(shown, site.alts)) or MISSING}"

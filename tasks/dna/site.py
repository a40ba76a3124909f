"""Sites: records of variant files with their alleles, on the plus strand of a genome."""

from __future__ import annotations

from dataclasses import dataclass

MISSING = "."
"""Text of a missing value in a variant file."""

_SHOWN = 20
"""Maximum number of letters of an allele in an error message."""


@dataclass(frozen=True)
class Site:
    """A position in a genome with its alleles.

    Attributes:
        chrom: name of the contig.
        pos: position of the first base of `ref`, counted from 1.
        ref: reference allele, at least one base, as VCF writes it (an insertion keeps the base before it).
        alts: alternate alleles as written in the file, including symbolic ones (`<DEL>`, `*`, breakends).
        frequencies: frequency of each alternate allele, None if the file does not give it.
        genotypes: for each sample its name, the numbers of its alleles (None: not called), and whether they are phased.
        phase_sets: phase set of each genotype; haplotypes of one set are in the same order at all its sites. "" if not
            given.
        id: name of the record, "" if it has none.
        where: name of the site in error messages, such as `calls.vcf.gz, record 17 (chr1:1234 A>G)`.
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


def shortened(allele: str) -> str:
    """Returns an allele for an error message; long alleles are shortened."""
    return allele if len(allele) <= _SHOWN else f"{allele[:_SHOWN]}…"


def describe_site(site: Site) -> str:
    """Returns the name of a site in error messages."""
    return (
        site.where or f"{site.chrom}:{site.pos} {shortened(site.ref)}>{','.join(map(shortened, site.alts)) or MISSING}"
    )

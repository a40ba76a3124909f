"""Sequences of haplotypes: the reference window with all alleles of one chromosome copy of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mammal.tasks.dna.genotypes import Genotype
from mammal.tasks.dna.place import Stretch, agrees, not_the_genome, trim, why_unwritable
from mammal.tasks.dna.site import Site, describe_site
from mammal.tasks.errors import DataError

DELETED = "*"
"""An allele that is deleted by an earlier record, which gives the deleted bases (VCF 4.3, section 1.6.1)."""


class UnwritableAlleleError(DataError):
    """A haplotype has an allele without a sequence: `*`, a symbolic allele or a breakend. The other can be written."""


@dataclass(frozen=True)
class Haplotype:
    """The window on one chromosome copy.

    Attributes:
        sequence: its bases.
        allele: number of the site's allele on this haplotype.
        number: 1 or 2.
        left_out: records that could not be applied and have the reference bases, with reasons.
    """

    sequence: str
    allele: int
    number: int
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Change:
    """Replacement of the bases `start` to `end` of the window by `alt`."""

    start: int
    end: int
    alt: str
    site: Site


def haplotype(site: Site, stretch: Stretch, others: Sequence[Site], sample: str, number: int) -> Haplotype | None:
    """Returns the window of one haplotype.

    Args:
        site: the record in the middle of the window.
        stretch: the window around it.
        others: records near the site; the site itself may be among them.
        sample: name of the sample.
        number: haplotype, 1 or 2.

    Returns:
        The haplotype; None if the second one is requested and the sample has only one chromosome copy there.

    Raises:
        UnwritableAlleleError: the haplotype has an allele that is not a sequence of bases.
        DataError: a heterozygous genotype in the window is not phased, or is in another phase set; the allele at the
            site is not called; or records overlap.
    """
    own = genotype_of(site, sample)
    if number == 2 and len(own.alleles) == 1:
        return None
    allele = _allele(site, own, number)
    if allele is None:
        raise DataError(f"the genotype {own} of {sample} is not called", where=describe_site(site))
    changes, left_out = [], []
    if change := _change(site, allele, stretch):
        changes.append(change)
    elif allele:
        raise DataError(f"allele {allele} of {sample} reaches beyond the window", where=describe_site(site))
    phased = [(site, own)]
    for other in others:
        if (other.pos, other.ref, other.alts) == (site.pos, site.ref, site.alts) or not _touches(other, stretch):
            continue
        genotype = genotype_of(other, sample)
        if not genotype.called:
            left_out.append(f"{describe_site(other)}: the genotype {genotype} is not called")
            continue
        if all(value == 0 for value in genotype.alleles) or number > len(genotype.alleles):
            continue
        found = _allele(other, genotype, number)
        phased.append((other, genotype))
        if not found or other.alts[found - 1] == DELETED:
            continue
        if change := _change(other, found, stretch):
            changes.append(change)
        else:
            left_out.append(f"{describe_site(other)}: allele {found} is not wholly within the window")
    _check_phase(phased)
    return Haplotype(_apply(stretch.bases, changes), allele, number, tuple(left_out))


def genotype_of(site: Site, sample: str) -> Genotype:
    """Returns the genotype of a sample at a site.

    Raises:
        DataError: the site has no genotype of this sample.
    """
    for place, (name, alleles, phased) in enumerate(site.genotypes):
        if name == sample:
            return Genotype(alleles, phased, site.phase_sets[place] if site.phase_sets else "")
    raise DataError(f"there is no genotype of {sample!r}", where=describe_site(site))


def _allele(site: Site, genotype: Genotype, number: int) -> int | None:
    try:
        return genotype.on(number)
    except DataError as error:
        raise DataError(error.what, where=describe_site(site), hint=error.hint) from None


def _touches(site: Site, stretch: Stretch) -> bool:
    return site.pos - 1 < stretch.end and site.pos - 1 + len(site.ref) > stretch.start


def _change(site: Site, allele: int, stretch: Stretch) -> _Change | None:
    """The replacement by an allele; None for the reference allele, and if it extends beyond the window."""
    if allele == 0:
        return None
    alt = site.alts[allele - 1]
    if reason := why_unwritable(alt):
        raise UnwritableAlleleError(
            reason, where=describe_site(site), hint="the sample has it, so its haplotype can't be written"
        )
    front, ref, alt = trim(site.ref, alt)
    start = site.pos - 1 - stretch.start + front
    if start < 0 or start + len(ref) > len(stretch.bases):
        return None
    if not agrees(found := stretch.bases[start : start + len(ref)], ref):
        raise not_the_genome(site, found, ref)
    return _Change(start, start + len(ref), alt, site)


def _check_phase(sites: Sequence[tuple[Site, Genotype]]) -> None:
    """Raises an error for heterozygous sites of several phase sets: it is unknown which alleles are on one copy."""
    known = [(site, genotype.phase_set) for site, genotype in sites if genotype.heterozygous]
    for site, phase_set in known:
        if phase_set != known[0][1]:
            what = f"phased in set {phase_set or 'of the whole file'}, {describe_site(known[0][0])} in another"
            raise DataError(what, where=describe_site(site), hint="a smaller window may hold one set only")


def _apply(bases: str, changes: Sequence[_Change]) -> str:
    pieces, end = [], 0
    last: _Change | None = None
    for change in sorted(changes, key=lambda change: (change.start, change.end)):
        if change.start < end or (last is not None and (change.start, change.end) == (last.start, last.end)):
            assert last is not None, "only a change moves the end"
            raise DataError(
                f"overlaps {describe_site(last.site)} on the same haplotype", where=describe_site(change.site)
            )
        pieces += [bases[end : change.start], change.alt]
        end, last = change.end, change
    return "".join([*pieces, bases[end:]])

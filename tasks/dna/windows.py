"""Windows of a genome around a variant, as text for prompts.

    reference      the genome's bases                                            …ACGTA…      one window a site
    alternate      with an alternate allele                                      …ACGTG…      one for each alternate
    in_place       with every allele, the reference first                        …ACGT[A/G]…  one a site
    population     the same with the alternates' frequencies                     …[A/G:0.23]… one a site
    haplotype_1    what is on one chromosome of a sample: its allele of the      …ACGTG…      one a site
    haplotype_2    site, and of every other record within the window
    haplotypes     both                                                                       one or two

All are on the genome's plus strand. They cover the same `window` bases of the genome, fewer at the end of a contig
(`mammal.tasks.dna.place`); insertions make a window longer than that, and deletions shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mammal.tasks.dna.alleles import AllelePair
from mammal.tasks.dna.genome import Genome
from mammal.tasks.dna.haplotypes import haplotype
from mammal.tasks.dna.place import Stretch, Unsupported, agrees, not_the_genome, stretch_around, trim
from mammal.tasks.dna.site import Site, describe
from mammal.tasks.errors import DataError, TaskError
from mammal.tokenization.errors import PromptError, did_you_mean
from mammal.tokenization.variants import Placed, Variant, from_vcf, write_in_place

HAPLOTYPES = {"haplotype_1": (1,), "haplotype_2": (2,), "haplotypes": (1, 2)}
IN_PLACE = ("in_place", "population")
RENDERINGS = (*IN_PLACE, "reference", "alternate", *HAPLOTYPES)


@dataclass(frozen=True)
class Window:
    """One rendered window.

    Attributes:
        sequence: bases, or in-place text.
        alleles: numbers of the site's alleles that stand in it.
        haplotype: 1 or 2, where it is one.
        chrom, start, end: the genome's bases that it covers, counted from 0, `end` not included.
        left_out: what could not be written into it: alternates of the site, and other records, with reasons.
    """

    sequence: str
    alleles: tuple[int, ...]
    chrom: str
    start: int
    end: int
    haplotype: int | None = None
    left_out: tuple[str, ...] = ()


def allele_pairs(site: Site, genome: Genome, window: int) -> list[AllelePair | Unsupported]:
    """For each alternate allele the window with the reference and with the alternate allele, in their order.

    All pairs of a site have the same reference window: `window` bases around the site, fewer at the end of a contig
    (see `stretch_around`). Alternates that can't be written as bases (`<DEL>`, `*`, breakends), or that don't fit the
    window, are `Unsupported`.

    Raises:
        DataError: the site lies outside its contig, or the genome reads other bases there than the record.
        TaskError: a window without bases.
    """
    stretch = stretch_around(site, genome, window)
    found: dict[int, AllelePair | Unsupported] = {bad.number: bad for bad in stretch.unsupported}
    found |= {number: _pair(stretch, number) for number in stretch.alts}
    return [found[number] for number in sorted(found)]


def render(
    site: Site, genome: Genome, window: int, rendering: str, *, sample: str | None = None, others: Sequence[Site] = ()
) -> list[Window]:
    """The windows of a site, at least one.

    Args:
        window: bases of the genome that are covered.
        rendering: one of `RENDERINGS`.
        sample: whose haplotypes are wanted; the site and the others have its genotypes.
        others: further records of the same place; those within the window are written in place, too, or are part of
            the haplotype. Other renderings leave them out.

    Raises:
        DataError: the site does not belong to the genome, no alternate can be written, a frequency is missing, or a
            haplotype can't be told; names the record.
        TaskError: there is no such rendering, or no sample for a haplotype.
    """
    if rendering not in RENDERINGS:
        raise TaskError(f"there is no rendering {rendering!r}", hint=did_you_mean(rendering, RENDERINGS))
    stretch = stretch_around(site, genome, window)
    place = stretch.chrom, stretch.start, stretch.end
    if rendering == "reference":
        return [Window(stretch.bases, (0,), *place)]
    if rendering in HAPLOTYPES:
        return _haplotypes(site, stretch, others, sample, HAPLOTYPES[rendering])
    reasons = tuple(bad.reason for bad in stretch.unsupported)
    if not stretch.alts:
        raise DataError("; ".join(reasons) or f"{describe(site)}: the record has no alternate allele")
    if rendering == "alternate":
        pairs = [_pair(stretch, number) for number in sorted(stretch.alts)]
        return [Window(pair.alternate, (pair.number,), *place, left_out=reasons) for pair in pairs]
    neighbours, missed = _neighbours(stretch, site, others, rendering == "population")
    own = Variant(stretch.ref, tuple(stretch.alts.values()), _frequencies(site, stretch, rendering))
    text = write_in_place(stretch.bases, [Placed(stretch.at, own), *neighbours])
    return [Window(text, (0, *stretch.alts), *place, left_out=(*reasons, *missed))]


def _haplotypes(
    site: Site, stretch: Stretch, others: Sequence[Site], sample: str | None, numbers: Sequence[int]
) -> list[Window]:
    if sample is None:
        raise TaskError("a haplotype is somebody's: name the sample", hint="sample=NA12878")
    found = [haplotype(site, stretch, others, sample, number) for number in numbers]
    if not any(found):
        raise DataError(f"{sample} has one chromosome copy there, so no haplotype 2", where=describe(site))
    place = stretch.chrom, stretch.start, stretch.end
    return [
        Window(one.sequence, (one.allele,), *place, haplotype=one.number, left_out=one.left_out)
        for one in found
        if one is not None
    ]


def _pair(stretch: Stretch, number: int) -> AllelePair:
    front, ref, alt = trim(stretch.ref, stretch.alts[number])
    at = stretch.at + front
    return AllelePair(stretch.bases[:at], ref, alt, stretch.bases[at + len(ref) :], number)


def _frequencies(site: Site, stretch: Stretch, rendering: str) -> tuple[float, ...]:
    if rendering != "population":
        return ()
    known = dict(enumerate(site.frequencies, start=1))
    shares = [known.get(number) for number in stretch.alts]
    if any(share is None for share in shares):
        hint = "INFO needs AF, or AC and AN; in_place writes the variant without"
        raise DataError("no frequency of the alternate allele", where=describe(site), hint=hint)
    return tuple(share for share in shares if share is not None)


def _neighbours(stretch: Stretch, site: Site, others: Sequence[Site], shares: bool) -> tuple[list[Placed], list[str]]:
    """Other records to be written in place, and why some of them are not."""
    taken = [(stretch.at, stretch.at + len(stretch.ref))]
    written, missed = [], []
    for other in others:
        if same_record(other, site):
            continue
        known = all(share is not None for share in other.frequencies)
        frequencies = [share for share in other.frequencies if share is not None] if shares and known else []
        try:
            placed = from_vcf(other.pos - 1 - stretch.start, other.ref, other.alts, frequencies)
        except PromptError as error:
            missed.append(f"{describe(other)}: {error.what}")
            continue
        start, end = placed.start, placed.end
        if end <= 0 or start >= len(stretch.bases):
            continue  # only bases that it shares with the reference lie within the window
        if start < 0 or end > len(stretch.bases):
            missed.append(f"{describe(other)}: reaches beyond the window")
        elif any((start < last and first < end) or (start, end) == (first, last) for first, last in taken):
            missed.append(f"{describe(other)}: overlaps another record")
        elif not agrees(stretch.bases[start:end], placed.variant.ref):
            raise not_the_genome(other, stretch.bases[start:end], placed.variant.ref)
        else:
            taken.append((start, end))
            written.append(placed)
    return written, missed


def same_record(first: Site, second: Site) -> bool:
    return (first.pos, first.ref, first.alts) == (second.pos, second.ref, second.alts)

"""Rendering of windows of a genome around a variant as text for prompts.

    reference      the genome's bases                                            …ACGTA…      one window per site
    alternate      with an alternate allele                                      …ACGTG…      one for each alternate
    in_place       with every allele, the reference first                        …ACGT[A/G]…  one per site
    population     the same with the alternates' frequencies                     …[A/G:0.23]… one per site
    haplotype_1    one chromosome copy of a sample: its allele at the            …ACGTG…      one per site
    haplotype_2    site, and at every other record within the window
    haplotypes     both                                                                       one or two

All are on the genome's plus strand. They cover the same `window` bases of the genome, fewer at the end of a contig
(`mammal.tasks.dna.place`); insertions make a window longer than that, and deletions shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mammal.tasks.dna.alleles import AllelePair
from mammal.tasks.dna.genome import Genome
from mammal.tasks.dna.haplotypes import Haplotype, UnwritableAlleleError, genotype_of, haplotype
from mammal.tasks.dna.place import Stretch, Unsupported, agrees, not_the_genome, stretch_around, trim
from mammal.tasks.dna.site import Site, describe_site
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
        alleles: numbers of the site's alleles in the sequence.
        haplotype: 1 or 2; None if the window is not a haplotype.
        chrom: contig of the window.
        start: first base of the genome that it covers, counted from 0.
        end: base after the last one.
        left_out: alternates of the site and other records that could not be written, with reasons.
    """

    sequence: str
    alleles: tuple[int, ...]
    chrom: str
    start: int
    end: int
    haplotype: int | None = None
    left_out: tuple[str, ...] = ()


def allele_pairs(site: Site, genome: Genome, window: int) -> list[AllelePair | Unsupported]:
    """Returns, for each alternate allele in order, the window with the reference and with the alternate allele.

    All pairs of a site have the same reference window: `window` bases around the site, fewer at the end of a contig
    (see `stretch_around`). Alternates that can't be written as bases (`<DEL>`, `*`, breakends), or that don't fit the
    window, are `Unsupported`.

    Raises:
        DataError: the site is outside its contig, or the genome has other bases there than the record.
        TaskError: `window` is below 1.
    """
    stretch = stretch_around(site, genome, window)
    found: dict[int, AllelePair | Unsupported] = {bad.number: bad for bad in stretch.unsupported}
    found |= {number: _pair(stretch, number) for number in stretch.alts}
    return [found[number] for number in sorted(found)]


def render(
    site: Site, genome: Genome, window: int, rendering: str, *, sample: str | None = None, others: Sequence[Site] = ()
) -> list[Window]:
    """Returns the windows of a site, at least one.

    Args:
        site: the record.
        genome: the genome.
        window: number of bases of the genome that are covered.
        rendering: one of `RENDERINGS`.
        sample: sample for haplotypes; the site and the other records must have its genotypes.
        others: further records nearby. Those within the window are also written in place, or are part of the haplotype.
            Other renderings ignore them.

    Raises:
        DataError: the site does not fit the genome, no alternate can be written, a frequency is missing, or a haplotype
            can't be determined; the message names the record.
        TaskError: the rendering is unknown, or a haplotype is requested without a sample.
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
        raise DataError("; ".join(reasons) or f"{describe_site(site)}: the record has no alternate allele")
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
        raise TaskError("a haplotype needs the name of a sample", hint="sample=NA12878")
    found, refused = _written(site, stretch, others, sample, numbers)
    if not found:
        raise DataError(f"{sample} has one chromosome copy there, so no haplotype 2", where=describe_site(site))
    if len(numbers) > 1:
        copies = len(genotype_of(site, sample).alleles)
        refused += [f"haplotype {number}: of {copies} copies two are written" for number in range(3, copies + 1)]
    place = stretch.chrom, stretch.start, stretch.end
    return [
        Window(one.sequence, (one.allele,), *place, haplotype=one.number, left_out=(*one.left_out, *refused))
        for one in found
    ]


def _written(
    site: Site, stretch: Stretch, others: Sequence[Site], sample: str, numbers: Sequence[int]
) -> tuple[list[Haplotype], list[str]]:
    """The haplotypes that there are, and why others can't be written.

    Raises:
        UnwritableAlleleError: every one of them has an allele without a sequence.
    """
    found: list[Haplotype] = []
    errors: dict[int, UnwritableAlleleError] = {}
    for number in numbers:
        try:
            one = haplotype(site, stretch, others, sample, number)
        except UnwritableAlleleError as error:
            errors[number] = error
            continue
        if one is not None:
            found.append(one)
    if errors and not found:
        raise next(iter(errors.values()))
    return found, [f"haplotype {number}: {error.where}: {error.what}" for number, error in errors.items()]


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
        raise DataError("no frequency of the alternate allele", where=describe_site(site), hint=hint)
    return tuple(share for share in shares if share is not None)


def _neighbours(stretch: Stretch, site: Site, others: Sequence[Site], shares: bool) -> tuple[list[Placed], list[str]]:
    """Other records to write in place, and the reasons why some of them are left out."""
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
            missed.append(f"{describe_site(other)}: {error.what}")
            continue
        start, end = placed.start, placed.end
        if end <= 0 or start >= len(stretch.bases):
            continue  # in the window, its alleles do not differ from the reference
        if start < 0 or end > len(stretch.bases):
            missed.append(f"{describe_site(other)}: reaches beyond the window")
        elif any((start < last and first < end) or (start, end) == (first, last) for first, last in taken):
            missed.append(f"{describe_site(other)}: overlaps another record")
        elif not agrees(stretch.bases[start:end], placed.variant.ref):
            raise not_the_genome(other, stretch.bases[start:end], placed.variant.ref)
        else:
            taken.append((start, end))
            written.append(placed)
    return written, missed


def same_record(first: Site, second: Site) -> bool:
    return (first.pos, first.ref, first.alts) == (second.pos, second.ref, second.alts)

"""Windows of a genome around a variant, with one allele, or with the variant written in place."""

from __future__ import annotations

from mammal.tasks.dna.alleles import AllelePair
from mammal.tasks.dna.genome import Genome
from mammal.tasks.dna.place import Stretch, Unsupported, stretch_around, trim
from mammal.tasks.dna.site import Site


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


def _pair(stretch: Stretch, number: int) -> AllelePair:
    front, ref, alt = trim(stretch.ref, stretch.alts[number])
    at = stretch.at + front
    return AllelePair(stretch.bases[:at], ref, alt, stretch.bases[at + len(ref) :], number)

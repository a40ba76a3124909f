"""The window of the genome around a site, the comparison with the record, and the alleles that can be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mammal.tasks.dna.genome import Genome
from mammal.tasks.dna.site import Site, describe_site, shortened
from mammal.tasks.errors import DataError, TaskError
from mammal.tokenization.strands import reverse_complement
from mammal.tokenization.variants import BASES

CODES = {
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
}
"""Ambiguity codes of a genome; VCF writes one of these bases as the reference (VCF 4.3, section 1.6.1)."""

ANCHOR = "write both alleles with the base before them, at its position, as VCF does: ref A, alt AT"
"""Hint for an allele without bases, which occurs in annotation tables."""


@dataclass(frozen=True)
class Unsupported:
    """An alternate allele that can't be written as bases.

    Attributes:
        number: number of the allele, 1 for the first alternate.
        reason: the reason, with the name of the record.
    """

    number: int
    reason: str


@dataclass(frozen=True)
class Stretch:
    """The window around a site, and the site's alleles without the bases that all of them share.

    Attributes:
        chrom: name of the contig in the genome.
        start: first base of the window, counted from 0.
        end: base after the last one of the window.
        bases: bases of the window, upper case; at the site, those of the record.
        at: index in `bases` of the first base of `ref`.
        ref: the reference allele; "" for an insertion.
        alts: number -> alternate allele that can be written; "" for a deletion.
        unsupported: alternate alleles that can't be written.
    """

    chrom: str
    start: int
    end: int
    bases: str
    at: int
    ref: str
    alts: dict[int, str]
    unsupported: tuple[Unsupported, ...] = ()

    @property
    def before(self) -> str:
        return self.bases[: self.at]

    @property
    def after(self) -> str:
        return self.bases[self.at + len(self.ref) :]


def stretch_around(site: Site, genome: Genome, window: int) -> Stretch:
    """Cuts a window of the genome with the site in its middle.

    First, the bases that all writable alleles share are removed, in front and then at the end. The window has
    `window // 2` bases before the middle of the remaining reference allele, so a single-nucleotide variant is at index
    `window // 2`. At the end of a contig the window is clipped: it is shorter, and the site is not in its middle.

    Args:
        site: the record.
        genome: the genome.
        window: number of bases, at least 1.

    Raises:
        DataError: the site is outside its contig, or the genome has other bases there than the record. The message
            names the record; a hint says if the other strand would agree.
        TaskError: `window` is below 1.
    """
    if window < 1:
        raise TaskError(f"a window has at least 1 base, not {window}")
    chrom, length = _contig(site, genome)
    first = site.pos - 1
    if not (site.ref and BASES.issuperset(site.ref)):
        what = f"the reference allele {shortened(site.ref)!r} is not a sequence of bases"
        raise DataError(what, where=describe_site(site), hint=ANCHOR if site.ref == "-" else None)
    if first < 0 or first + len(site.ref) > length:
        what = f"position {site.pos:,} with {len(site.ref):,} bases is not within {chrom}, which has {length:,}"
        raise DataError(what, where=describe_site(site), hint="wrong genome build?")
    alts, unsupported = _writable(site)
    front, back = _shared([site.ref, *alts.values()]) if alts else (0, 0)
    ref = _cut(site.ref, front, back)
    start = max(0, first + front + len(ref) // 2 - window // 2)
    end = min(length, first + front + len(ref) // 2 - window // 2 + window)
    low, high = min(start, first), max(end, first + len(site.ref))
    read = genome.bases(chrom, low, high)
    _check_reference(site, read[first - low : first - low + len(site.ref)])
    read = read[: first - low] + site.ref + read[first - low + len(site.ref) :]
    if len(ref) > window:
        reason = f"{describe_site(site)}: {len(ref):,} bases are replaced, more than the window of {window:,} holds"
        unsupported = [*unsupported, *(Unsupported(number, reason) for number in alts)]
        alts = {}
        front, ref = 0, ""
    trimmed = {number: _cut(alt, front, back) for number, alt in alts.items()}
    for number, alt in list(trimmed.items()):
        if len(alt) > window:
            reason = (
                f"{describe_site(site)}: allele {number} has {len(alt):,} bases, more than the window of {window:,}"
            )
            unsupported = [*unsupported, Unsupported(number, reason)]
            del trimmed[number]
    bases = read[start - low : end - low]
    return Stretch(chrom, start, end, bases, first + front - start, ref, trimmed, tuple(unsupported))


def trim(ref: str, alt: str) -> tuple[int, str, str]:
    """Removes the bases that two alleles share, in front and then at the end.

    Returns:
        Number of bases removed in front, and the two remaining alleles.
    """
    front, back = _shared([ref, alt])
    return front, _cut(ref, front, back), _cut(alt, front, back)


def why_unwritable(allele: str) -> str | None:
    """Returns the reason why an alternate allele of a VCF file is not a sequence of bases; None if it is one."""
    if allele and BASES.issuperset(allele):
        return None
    if allele == "*":
        return "the allele * (deleted with a site before it) has no sequence of its own"
    if "[" in allele or "]" in allele or allele.startswith(".") or allele.endswith("."):
        return f"the breakend {shortened(allele)} joins two places of the genome"
    if allele.startswith("<") and allele.endswith(">"):
        return f"the symbolic allele {shortened(allele)} has no sequence"
    if allele == "-":
        return f"the allele '-' is not a sequence of bases: {ANCHOR}"
    return f"the allele {shortened(allele)!r} is not a sequence of bases"


def agrees(found: str, said: str) -> bool:
    """Whether a record's reference allele agrees with the genome, ambiguity codes of the genome allowed.

    Args:
        found: bases of the genome.
        said: reference allele of the record.
    """
    if found == said:
        return True
    pairs = zip(found, said, strict=False)
    return len(found) == len(said) and all(read == base or base in CODES.get(read, "") for read, base in pairs)


def not_the_genome(site: Site, found: str, said: str) -> DataError:
    """Returns the error for a record that does not fit the genome, with a hint if the other strand would fit."""
    what = f"the genome reads {shortened(found)} at {site.chrom}:{site.pos}, the record says {shortened(said)}"
    hints = []
    if found in site.alts:
        hints.append("the genome has an alternate allele: REF and ALT are exchanged")
    if BASES.issuperset(found) and reverse_complement(found) == said:
        hints.append("the complement matches: the record is on the other strand")
    return DataError(what, where=describe_site(site), hint=", or ".join(hints) or "wrong genome build?")


def _contig(site: Site, genome: Genome) -> tuple[str, int]:
    try:
        chrom = genome.contig(site.chrom)
    except DataError as error:
        raise DataError(error.what, where=describe_site(site), hint=error.hint) from None
    return chrom, genome.lengths[chrom]


def _writable(site: Site) -> tuple[dict[int, str], list[Unsupported]]:
    alts: dict[int, str] = {}
    unsupported = []
    for number, alt in enumerate(site.alts, start=1):
        reason = why_unwritable(alt)
        if reason is None and (alt == site.ref or alt in alts.values()):
            reason = f"the record has the allele {shortened(alt)} twice"
        if reason is None:
            alts[number] = alt
        else:
            unsupported.append(Unsupported(number, f"{describe_site(site)}: {reason}"))
    return alts, unsupported


def _shared(alleles: Sequence[str]) -> tuple[int, int]:
    """Number of bases that all alleles share: in front, then at the end of the rest."""
    shortest = min(map(len, alleles))
    front = next((i for i in range(shortest) if len({allele[i] for allele in alleles}) > 1), shortest)
    left = shortest - front
    back = next((i for i in range(left) if len({allele[-1 - i] for allele in alleles}) > 1), left)
    return front, back


def _cut(allele: str, front: int, back: int) -> str:
    return allele[front : len(allele) - back]


def _check_reference(site: Site, found: str) -> None:
    if not agrees(found, site.ref):
        raise not_the_genome(site, found, site.ref)

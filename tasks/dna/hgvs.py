"""Reading of HGVS descriptions of simple variants of a genome (`g.`, and `m.` for mitochondria).

    NC_000007.14:g.55181378T>G      substitution        chr7:g.55181320dup        duplication
    chr7:g.55181320_55181325del     deletion            chr7:g.100_101insACGT     insertion
    chr7:g.100_102delinsTT          both                chr7:g.100_110inv         inversion

Source: HGVS Nomenclature 21, https://hgvs-nomenclature.org (formerly varnomen.hgvs.org), recommendations for DNA.
Variants keep the position of their description. In a repeat, HGVS uses the position at the 3' end, VCF that at the 5'
end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mammal.tasks.dna.contigs import human_chromosome
from mammal.tasks.dna.site import Site, shortened
from mammal.tasks.errors import DataError
from mammal.tokenization.strands import reverse_complement
from mammal.tokenization.variants import BASES

if TYPE_CHECKING:
    from mammal.tasks.dna.genome import Genome

_PLACE = re.compile(r"(?P<start>\d+)(?:_(?P<end>\d+))?")
_SUBSTITUTION = re.compile(r"(?P<ref>[A-Z])>(?P<alt>[A-Z])")
_CHANGE = re.compile(r"(?P<kind>delins|del|dup|ins|inv)(?P<bases>[A-Z]*)")
_REPLACEMENT = re.compile(r"del(?P<ref>[A-Z]+)ins(?P<bases>[A-Z]+)")
_HINT = "such as NC_000007.14:g.55181378T>G, chr7:g.100_102del, …dup, …insACGT, …delinsTT or …inv"


@dataclass(frozen=True)
class _Description:
    """A parsed description: bases `start` to `end` (from 1, both included) of `chrom`, and their change.

    Attributes:
        kind: del, dup, ins, inv or delins.
        bases: inserted bases; "" if there are none.
        stated: reference bases that the description states; "" if it states none.
    """

    text: str
    chrom: str
    start: int
    end: int
    kind: str
    bases: str
    stated: str


def parse_hgvs(text: str, genome: Genome | None = None) -> Site:
    """Parses a description and returns its site, with the alleles of a VCF record.

    Args:
        text: `sequence:g.change`. The sequence is a contig of the genome, or the RefSeq accession of a human
            chromosome of GRCh37 or GRCh38, which is read as its `chrN`.
        genome: source of the bases that a description leaves out, and of the base before an insertion or deletion.
            Only substitutions can be read without it.

    Raises:
        DataError: the description is not valid (the message names the character), does not fit the genome, or needs a
            genome and none is given.
    """
    text = text.strip()
    name, _, change = text.partition(":")
    if not name or change[:2] not in ("g.", "m."):
        raise DataError("not an HGVS description of a genome's variant", where=text, hint=_HINT)
    first = len(name) + 3
    place = _PLACE.match(text, first)
    if place is None:
        raise DataError(f"a position is expected at character {first + 1}", where=text, hint=_HINT)
    start, end = int(place["start"]), int(place["end"] or place["start"])
    if start < 1 or end < start:
        raise DataError(f"{place[0]!r} at character {first + 1} is not a stretch of a sequence", where=text)
    chrom = _contig(name, genome, text)
    edit = text[place.end() :]
    if match := _SUBSTITUTION.fullmatch(edit):
        if end != start:
            raise DataError(f"one base is replaced, but {place[0]} are {end - start + 1}", where=text, hint=_HINT)
        _check_bases(match["ref"] + match["alt"], text)
        return Site(chrom, start, match["ref"], (match["alt"],), where=text)
    match = _REPLACEMENT.fullmatch(edit) or _CHANGE.fullmatch(edit)
    if match is None:
        raise DataError(f"no change is known by {edit!r}, at character {place.end() + 1}", where=text, hint=_HINT)
    found = match.groupdict()
    kind, bases = found.get("kind", "delins"), found["bases"]
    _check_bases(bases + found.get("ref", ""), text)
    stated = bases if kind in ("del", "dup", "inv") else found.get("ref", "")
    description = _Description(text, chrom, start, end, kind, bases if kind in ("ins", "delins") else "", stated)
    _check_shape(description)
    if genome is None:
        raise DataError("its bases are read from a genome, and none is given", where=text, hint="reference=genome.fa")
    return _as_record(description, genome)


def _check_shape(description: _Description) -> None:
    start, end, kind = description.start, description.end, description.kind
    if kind in ("ins", "delins") and not description.bases:
        raise DataError(f"{kind} is followed by the bases that are put in", where=description.text, hint=_HINT)
    if kind == "ins" and end != start + 1:
        what = f"an insertion lies between two neighbouring bases, not {start} and {end}"
        raise DataError(what, where=description.text, hint=f"{start}_{start + 1}ins{description.bases}")
    if kind == "inv" and end == start:
        raise DataError("an inversion has two bases or more", where=description.text)
    if description.stated and len(description.stated) != end - start + 1:
        what = f"{description.stated} has {len(description.stated)} bases, the positions {end - start + 1}"
        raise DataError(what, where=description.text)


def _as_record(description: _Description, genome: Genome) -> Site:
    """Site with VCF alleles: insertions and deletions include the base before them (at a contig's start, behind)."""
    text, chrom, start, end = description.text, description.chrom, description.start, description.end
    length = genome.length(chrom)
    if end > length:
        raise DataError(f"position {end:,} is beyond {chrom}, which has {length:,} bases", where=text)
    found = genome.bases(chrom, start - 1, end)
    if description.stated and description.stated != found:
        what = f"the genome reads {shortened(found)} there, the description says {shortened(description.stated)}"
        raise DataError(what, where=text, hint="wrong genome build?")
    if description.kind == "ins":
        return Site(chrom, start, found[0], (found[0] + description.bases,), where=text)
    if description.kind == "dup":
        return Site(chrom, end, found[-1], (found[-1] + found,), where=text)
    if description.kind == "del":
        if start > 1:
            before = genome.bases(chrom, start - 2, start - 1)
            return Site(chrom, start - 1, before + found, (before,), where=text)
        if end == length:
            raise DataError("nothing of the sequence is left", where=text)
        after = genome.bases(chrom, end, end + 1)
        return Site(chrom, 1, found + after, (after,), where=text)
    alt = reverse_complement(found) if description.kind == "inv" else description.bases
    if alt == found:
        raise DataError("the sequence stays as it is", where=text)
    return Site(chrom, start, found, (alt,), where=text)


def _contig(name: str, genome: Genome | None, text: str) -> str:
    if genome is None:
        return human_chromosome(name) or name
    try:
        return genome.contig(name)
    except DataError as error:
        raise DataError(error.what, where=text, hint=error.hint) from None


def _check_bases(bases: str, text: str) -> None:
    wrong = next((letter for letter in bases if letter not in BASES), None)
    if wrong is not None:
        raise DataError(f"{wrong!r} at character {text.rindex(wrong) + 1} is not a base", where=text)

"""Illumina array manifests: loci with flanks and two alleles, which are not ordered as reference and alternate.

A manifest (.csv) has sections `[Heading]`, `[Assay]` and `[Controls]`; loci are the rows of `[Assay]`. Alleles A and
B are named by the TOP/BOT convention, which depends only on the bases, not on the genome. Strands:

    SourceSeq       flanks and alleles as submitted, on SourceStrand (TOP, BOT, PLUS, MINUS)
    IlmnStrand      the strand for which the probes were designed
    RefStrand       the strand of the genome, + or -, that IlmnStrand is
    SNP             alleles as called on IlmnStrand; [D/I] and [I/D] for deletions and insertions. Their bases are only
                    in SourceSeq and TopGenomicSeq: [-/AT]

Sources: Illumina, "TOP/BOT" strand and A/B allele, technical note 370-2006-018; GTCtoVCF, README (manifest columns).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.tasks.dna.genome import Genome
from mammal.tasks.dna.site import Site
from mammal.tasks.errors import DataError
from mammal.tasks.limits import long_cell
from mammal.tasks.tables.compression import bare_name
from mammal.tasks.tables.lines import ESCAPED, UTF_8, bounded_lines, open_text, unreadable, with_reasons
from mammal.tokenization.errors import PromptError
from mammal.tokenization.strands import reverse_complement
from mammal.tokenization.variants import Variant, parse_variants

if TYPE_CHECKING:
    import pandas as pd

ASSAY = "[Assay]"
NEEDED = ("SourceSeq", "SNP", "Chr", "MapInfo")
"""Columns that every manifest has."""

OPPOSITE = {"TOP": "BOT", "BOT": "TOP", "PLUS": "MINUS", "MINUS": "PLUS"}
FLANKS = (60, 40, 25, 15)
"""Numbers of flanking bases that are searched in the genome, tried in this order: a long flank may have a variant."""

_UNMAPPED = ("", "0")


@dataclass(frozen=True)
class Locus:
    """A locus of an array.

    Attributes:
        name: name in the manifest.
        left: flank before the locus, upper case.
        right: flank behind the locus, upper case, on the same strand.
        alleles: two alleles in the order of the manifest; "" for no bases.
        chrom: chromosome; "" if the locus is not mapped.
        pos: position in the manifest, counted from 1.
        strand: strand of the genome by the manifest's columns, "+" or "-"; "" if they don't give it.
    """

    name: str
    left: str
    right: str
    alleles: tuple[str, str]
    chrom: str
    pos: int
    strand: str

    def turned(self) -> Locus:
        """Returns the same locus on the other strand."""
        first, second = map(reverse_complement, self.alleles)
        left, right = reverse_complement(self.right), reverse_complement(self.left)
        strand = {"+": "-", "-": "+"}.get(self.strand, "")
        return Locus(self.name, left, right, (first, second), self.chrom, self.pos, strand)

    @property
    def in_place(self) -> str:
        """Flanks and alleles as in-place text, on the plus strand if known; alleles in the manifest's order."""
        here = self.turned() if self.strand == "-" else self
        return f"{here.left}{Variant(here.alleles[0], (here.alleles[1],))}{here.right}"

    @property
    def where(self) -> str:
        return f"locus {self.name} ({self.chrom or 'unmapped'}:{self.pos})"


def is_manifest(file: Path, encoding: str = UTF_8) -> bool:
    """Whether a CSV file has the sections of a manifest."""
    if not bare_name(file).endswith(".csv"):
        return False
    try:
        with open_text(file, encoding=encoding, errors=ESCAPED) as lines:
            return any(line.strip().rstrip(",") in ("[Heading]", ASSAY) for line in islice(bounded_lines(lines), 5))
    except (OSError, UnicodeDecodeError):
        return False


def iter_manifest(file: Path, chunk: int, keep_damaged: bool = False, encoding: str = UTF_8) -> Iterator[pd.DataFrame]:
    """Reads the rows of `[Assay]` as tables of text, in the order of the file.

    Args:
        file: the manifest.
        chunk: number of rows of each table.
        keep_damaged: as for `mammal.tasks.tables.readers.iter_tables`.
        encoding: encoding of the file.

    Raises:
        DataError: the file has no such section or lacks a column, or (without `keep_damaged`) a row has another number
            of fields.
    """
    import pandas as pd

    with open_text(file, newline="", encoding=encoding, errors=ESCAPED) as stream:
        records = enumerate(csv.reader(bounded_lines(stream)), start=1)
        if not any(fields and fields[0] == ASSAY for _, fields in records):
            raise DataError(f"a manifest has a section {ASSAY}", where=str(file))
        _, columns = next(records, (0, []))
        if missing := [name for name in NEEDED if name not in columns]:
            raise DataError(f"the manifest has no column {missing[0]!r}", where=str(file))
        rows = _rows(records, columns, file, keep_damaged, encoding)
        empty = True
        while (taken := list(islice(rows, chunk))) or empty:
            frame = pd.DataFrame([cells for cells, _ in taken], columns=columns, dtype=str)
            yield with_reasons(frame, [reason for _, reason in taken], keep_damaged)
            empty = False


def locus_of(row: Mapping[str, Any]) -> Locus:
    """Returns the locus of a manifest's row.

    Raises:
        DataError: the sequence is not `flank[A/B]flank`, or the position is not a number; the message names the locus.
    """
    name = str(row.get("Name") or row.get("IlmnID") or "")
    pos = str(row["MapInfo"]).strip() or "0"
    if not pos.isdecimal():
        raise DataError(f"the position {pos!r} is not a whole number", where=f"locus {name}")
    chrom = str(row["Chr"]).strip()
    left, variant, right = _sequence(str(row["SourceSeq"]).strip(), name)
    mapped = chrom not in _UNMAPPED and pos != "0"
    return Locus(
        name,
        left,
        right,
        (variant.ref, variant.alts[0]),
        ("X" if chrom == "XY" else chrom) if mapped else "",  # XY: pseudoautosomal
        int(pos),
        _strand(row),
    )


def oriented(locus: Locus, genome: Genome) -> Site:
    """Returns the locus as a site of a genome: the reference allele is the one found between the flanks.

    Both strands are tried, so the strand columns of the manifest are not used.

    Raises:
        DataError: the locus is not mapped, or the genome does not have the flanks with one of the alleles at its
            position; the message names the locus.
    """
    if not locus.chrom:
        raise DataError("the manifest gives no position", where=locus.where)
    try:
        chrom = genome.contig(locus.chrom)
    except DataError as error:
        raise DataError(error.what, where=locus.where, hint=error.hint) from None
    for flank in FLANKS:
        found = [hit for turned in (locus, locus.turned()) for hit in _hits(turned, genome, chrom, flank)]
        if len({(hit.pos, hit.ref, hit.alts) for hit in found}) == 1:
            return found[0]
        if found:
            what = f"the genome has both alleles {'/'.join(a or '-' for a in locus.alleles)} there, as in a repeat"
            raise DataError(what, where=locus.where)
    what = "the genome has neither allele with its flanks there, on neither strand"
    raise DataError(what, where=locus.where, hint="wrong genome build?")


def _hits(locus: Locus, genome: Genome, chrom: str, flank: int) -> Iterator[Site]:
    """Sites at which the genome has left flank, allele and right flank, near the given position.

    The distance from that position is at most the length of the alleles.
    """
    left, right = locus.left[-flank:], locus.right[:flank]
    slack = max(map(len, locus.alleles)) + 1
    low = max(0, locus.pos - 1 - len(left) - slack)
    high = min(genome.length(chrom), locus.pos + len(right) + 2 * slack)
    bases = genome.bases(chrom, min(low, high), high)
    for ref, alt in (locus.alleles, locus.alleles[::-1]):
        at = bases.find(left + ref + right)
        if at < 0:
            continue
        first = low + at + len(left)
        if ref and alt:
            yield Site(chrom, first + 1, ref, (alt,), id=locus.name, where=locus.where)
        elif first > 0:
            anchor = left[-1] if left else genome.bases(chrom, first - 1, first)
            yield Site(chrom, first, anchor + ref, (anchor + alt,), id=locus.name, where=locus.where)


def _rows(
    records: Iterable[tuple[int, list[str]]], columns: list[str], file: Path, keep_damaged: bool, encoding: str
) -> Iterator[tuple[list[str], str | None]]:
    for line, fields in records:
        if fields and fields[0].startswith("[") and fields[0].endswith("]"):
            return
        if not fields:
            continue
        text = "".join(fields)
        reason = unreadable(text, encoding) or long_cell(columns, fields, len(text))
        if reason is None and len(fields) != len(columns):
            reason = f"{len(fields)} fields where the header has {len(columns)}"
        if reason is not None and not keep_damaged:
            raise DataError(reason, where=f"{file}:{line}")
        yield (fields, None) if reason is None else ([""] * len(columns), f"line {line}: {reason}")


def _sequence(text: str, name: str) -> tuple[str, Variant, str]:
    try:
        pieces = parse_variants(text)
    except PromptError as error:
        raise DataError(f"SourceSeq: {error.what}", where=f"locus {name}", hint=error.hint) from error
    sites = [place for place, piece in enumerate(pieces) if isinstance(piece, Variant)]
    variant = pieces[sites[0]] if len(sites) == 1 else None
    if not isinstance(variant, Variant) or len(variant.alts) != 1:
        raise DataError("SourceSeq is not flank[A/B]flank", where=f"locus {name}")
    left, right = ("".join(map(str, part)) for part in (pieces[: sites[0]], pieces[sites[0] + 1 :]))
    return left, variant, right


def _strand(row: Mapping[str, Any]) -> str:
    """Strand of the genome of SourceSeq: RefStrand, or the opposite if design and source strand differ."""
    design, source = str(row.get("IlmnStrand", "")).upper(), str(row.get("SourceStrand", "")).upper()
    strand = str(row.get("RefStrand", ""))
    if strand not in ("+", "-") or design not in OPPOSITE or source not in (design, OPPOSITE[design]):
        return ""
    return strand if source == design else {"+": "-", "-": "+"}[strand]

"""Reading of variant files as tables: VCF (plain or compressed) and BCF. Every cell is the text of the file.

Columns: chrom, pos, id, ref, alt, qual, filter, info; for files with genotypes also format and one column per sample.
Cells are not interpreted, so a record can be written back unchanged. VCF 4.3, sections 1.2 and 1.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.tasks.dna.contigs import synonyms
from mammal.tasks.errors import DataError
from mammal.tasks.limits import long_cell
from mammal.tasks.tables.compression import GZIPPED
from mammal.tasks.tables.lines import (
    ESCAPED,
    bounded_lines,
    column_names,
    open_text,
    undecodable,
    unreadable,
    with_reasons,
)
from mammal.tasks.tables.pysam_import import import_pysam
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import pysam

FIXED = ("chrom", "pos", "id", "ref", "alt", "qual", "filter", "info")
"""Columns of every record."""

INDEXES = (".tbi", ".csi")

_HEADING = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
_REGION = re.compile(r"(?P<chrom>.+?)(?::(?P<start>[\d,]+)(?:-(?P<end>[\d,]+))?)?")
_FORMAT_LINE = "##fileformat="


@dataclass(frozen=True)
class Header:
    """The header of a variant file.

    Attributes:
        lines: lines of meta information (`##…`), as in the file.
        columns: names of the table's columns; a sample with the name of another column gets a number.
        samples: names of the samples, as in the file.
    """

    lines: tuple[str, ...]
    columns: tuple[str, ...]
    samples: tuple[str, ...]

    def column_of(self, sample: str) -> str:
        """Returns the name of the column with a sample's genotypes.

        Raises:
            DataError: the file has no such sample; the hint gives the nearest name.
        """
        if sample not in self.samples:
            hint = did_you_mean(sample, self.samples, noun="sample") if self.samples else "the file has no genotypes"
            raise DataError(f"there is no sample {sample!r}", hint=hint)
        return self.columns[len(self.columns) - len(self.samples) + self.samples.index(sample)]


@dataclass(frozen=True)
class Region:
    """A region of a genome.

    Attributes:
        chrom: name of the chromosome or contig.
        start: first base, counted from 0.
        end: base after the last one; None: the region extends to the end of the contig.
    """

    chrom: str
    start: int = 0
    end: int | None = None


def parse_region(text: str) -> Region:
    """Parses the text of a region.

    Args:
        text: `chr1:1000-2000` (both ends included, counted from 1), `chr1:1000` (from there on) or `chr1`.

    Raises:
        DataError: the text has none of these forms.
    """
    match = _REGION.fullmatch(text.strip())
    start, end = (int(match[name].replace(",", "")) if match and match[name] else None for name in ("start", "end"))
    if match is None or (start is not None and start < 1) or (start and end and end < start):
        raise DataError(f"{text!r} is not a region", hint="such as chr1:1000-2000 or chr1")
    return Region(match["chrom"], 0 if start is None else start - 1, end)


def read_header(file: Path) -> Header:
    """Reads the header of a variant file.

    Raises:
        DataError: the file has no header, or it is not VCF 4.
    """
    with _Records(file) as records:
        return records.header


def iter_variants(
    file: Path, chunk: int, keep_damaged: bool = False, region: str | None = None
) -> Iterator[pd.DataFrame]:
    """Reads records as tables, in the order of the file.

    Args:
        file: a VCF or BCF file.
        chunk: number of rows of each table.
        keep_damaged: as for `mammal.tasks.tables.readers.iter_tables`.
        region: read only the records that overlap this region (`parse_region`); needs an index of the file.

    Raises:
        DataError: the file is not VCF 4, a line is damaged, or a region is given and the file has no index.
    """
    import pandas as pd

    with _Records(file, region) as records:
        columns = list(records.header.columns)
        rows = _cells(records, columns, file, keep_damaged)
        empty = True
        while (taken := list(islice(rows, chunk))) or empty:
            frame = pd.DataFrame([cells for cells, _ in taken], columns=columns, dtype=str)
            yield with_reasons(frame, [reason for _, reason in taken], keep_damaged)
            empty = False


class _Records:
    """An open variant file: its header, and for each record its place (for error messages) and its text."""

    def __init__(self, file: Path, region: str | None = None):
        self.file = file
        if file.name.lower().endswith(".bcf"):
            self._opened: Any = _open_binary(file)
            self.header = parse_header(str(self._opened.header).splitlines(), file)[0]
            self._numbered = self._binary(None if region is None else parse_region(region))
            return
        self._opened = open_text(file, newline="\n", errors=ESCAPED)
        lines = bounded_lines(self._opened)
        try:
            self.header, number = parse_header(lines, file)
        except BaseException:
            self._opened.close()
            raise
        if region is None:
            self._numbered = ((f"line {n}", line) for n, line in enumerate(lines, start=number + 1))
        else:
            self._opened.close()
            self._opened = open_indexed(file)
            self._numbered = self._indexed(parse_region(region))

    def __enter__(self) -> _Records:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._numbered

    def _indexed(self, region: Region) -> Iterator[tuple[str, str]]:
        contig = contig_of(region.chrom, self._opened.contigs, self.file)
        lines = self._opened.fetch(contig, region.start, region.end)
        return ((f"record {n} of the region", line) for n, line in enumerate(lines, start=1))

    def _binary(self, region: Region | None) -> Iterator[tuple[str, str]]:
        contig = None
        if region is not None:
            contig = contig_of(region.chrom, list(self._opened.header.contigs), self.file)
        try:
            records = self._opened if region is None else self._opened.fetch(contig, region.start, region.end)
        except ValueError as error:
            hint = f"bcftools index {self.file.name}"
            raise DataError("has no index, which a region needs", where=str(self.file), hint=hint) from error
        try:
            for number, record in enumerate(records, start=1):
                yield f"record {number}{'' if region is None else ' of the region'}", str(record)
        except OSError as error:
            raise DataError(f"damaged: {error}", where=str(self.file)) from error


def parse_header(lines: Iterable[str], file: Path) -> tuple[Header, int]:
    """Reads lines up to the one that names the columns.

    Args:
        lines: lines of the file, from the first.
        file: the file, for error messages.

    Returns:
        The header, and the number of its lines.

    Raises:
        DataError: no line names the columns, or the file is not VCF 4.
    """
    meta: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        if text.startswith("##"):  # a byte that is not UTF-8 in a description changes no record
            meta.append(text.encode(errors=ESCAPED).decode(errors="replace"))
            if text.startswith(_FORMAT_LINE) and not text.startswith(f"{_FORMAT_LINE}VCFv4"):
                raise DataError(f"{text[2:]}: only VCF 4 is read", where=f"{file}:{number}")
            continue
        if reason := undecodable(text):
            raise DataError(reason, where=f"{file}:{number}", hint="save the file as UTF-8")
        if not text.startswith(_HEADING):
            hint = "it names the columns, with a tab between each two: #CHROM POS ID REF ALT QUAL FILTER INFO …"
            raise DataError("not a VCF file: the line #CHROM is missing", where=f"{file}:{number}", hint=hint)
        names = text.split("\t")[len(FIXED) :]
        if names and names[0] != "FORMAT":
            raise DataError(f"column 9 is FORMAT, not {names[0]!r}", where=f"{file}:{number}")
        columns = column_names([*FIXED, *(["format"] if names else []), *names[1:]])
        return Header(tuple(meta), tuple(columns), tuple(names[1:])), number
    raise DataError("not a VCF file: the line #CHROM is missing", where=str(file))


def has_index(file: Path) -> bool:
    """Whether a VCF file is bgzipped and indexed."""
    return file.suffix in GZIPPED and any(Path(f"{file}{suffix}").is_file() for suffix in INDEXES)


def open_indexed(file: Path) -> pysam.TabixFile:
    """Opens a bgzipped VCF file with its index.

    Raises:
        DataError: the file has no index (the hint gives the command that makes one), or it can't be opened.
    """
    pysam = import_pysam()
    if not has_index(file):
        zipped = file.suffix in GZIPPED
        hint = f"tabix -p vcf {file.name}" if zipped else f"bgzip {file.name} && tabix -p vcf {file.name}.gz"
        raise DataError("has no index, which looking up a region needs", where=str(file), hint=hint)
    try:
        return pysam.TabixFile(str(file), encoding="utf-8")
    except (OSError, ValueError) as error:
        hint = f"bgzip it, then tabix -f -p vcf {file.name}"
        raise DataError(f"can't be opened by its index: {error}", where=str(file), hint=hint) from error


def contig_of(chrom: str, names: Sequence[str], file: Path) -> str:
    """Returns the file's own name of a contig (`1` or `chr1`).

    Args:
        chrom: name of the contig, in either form.
        names: names of the contigs of the file.
        file: the file, for the error message.

    Raises:
        DataError: the file has no such contig.
    """
    found = next((name for name in synonyms(chrom) if name in names), None)
    if found is None:
        hint = did_you_mean(chrom, names, noun="contig")
        raise DataError(f"there are no records of {chrom!r}", where=str(file), hint=hint)
    return found


def _open_binary(file: Path) -> pysam.VariantFile:
    pysam = import_pysam()
    verbosity = pysam.set_verbosity(0)  # a missing index is not an error unless a region is requested
    try:
        return pysam.VariantFile(str(file))
    except (OSError, ValueError) as error:
        raise DataError(f"not a BCF file: {error}", where=str(file)) from error
    finally:
        pysam.set_verbosity(verbosity)


def _cells(
    records: Iterable[tuple[str, str]], columns: list[str], file: Path, keep_damaged: bool
) -> Iterator[tuple[list[str], str | None]]:
    """The cells of each record; for a damaged record, empty cells and the reason."""
    for place, line in records:
        text = line.rstrip("\r\n")
        if not text:
            continue
        cells = text.split("\t")
        reason = unreadable(text) or _damage(cells, len(columns)) or long_cell(columns, cells, len(text))
        if reason is not None and not keep_damaged:
            raise DataError(reason, where=f"{file}, {place}")
        yield (cells, None) if reason is None else ([""] * len(columns), f"{place}: {reason}")


def _damage(cells: Sequence[str], width: int) -> str | None:
    if len(cells) != width:
        return f"{len(cells)} fields where the header has {width}"
    chrom, pos, _, ref, alt = cells[:5]
    if not pos.isdecimal():
        return f"the position {pos!r} is not a whole number"
    empty = next((name for name, cell in (("CHROM", chrom), ("REF", ref), ("ALT", alt)) if not cell), None)
    return None if empty is None else f"{empty} is empty"

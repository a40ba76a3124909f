"""Search for other records of a variant file near a site, with the file's index or by reading a sorted file once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mammal.tasks.dna.contigs import synonyms
from mammal.tasks.dna.site import Site
from mammal.tasks.errors import DataError
from mammal.tasks.tables.variant_files import has_index, iter_variants, open_indexed, read_header

Reader = Callable[[Mapping[str, Any]], Site]
"""Function that converts a record to a site."""

CHUNK = 1_000
"""Number of records of a sorted file that are read at once."""


class Neighbours:
    """Finds the records that overlap a region of the genome.

    With an index, regions can be requested in any order. Without an index the file is read once, so regions must be
    requested in the order of the file, and only records near the last request are kept in memory. Records that can't be
    read as sites are skipped here; they are reported as rows of their own.

    Args:
        file: VCF file, or BCF file (its index is not used).
        read: converts a row to a site (`mammal.tasks.dna.vcf.site_of`).

    Raises:
        DataError: by `around`, if the file has no index and is not sorted.
    """

    def __init__(self, file: Path, read: Reader):
        self._source = _Indexed(file, read) if has_index(file) else _Sorted(file, read)

    def around(self, chrom: str, start: int, end: int) -> list[Site]:
        """Returns the sites with a reference allele that overlaps a region.

        Args:
            chrom: name of the contig.
            start: first base, counted from 0.
            end: base after the last one.
        """
        return self._source.around(chrom, start, end)


class _Indexed:
    def __init__(self, file: Path, read: Reader):
        self._columns = read_header(file).columns
        self._opened = open_indexed(file)
        self._contigs = set(self._opened.contigs)
        self._read = read

    def around(self, chrom: str, start: int, end: int) -> list[Site]:
        contig = next((name for name in synonyms(chrom) if name in self._contigs), None)
        if contig is None:
            return []
        lines = self._opened.fetch(contig, max(0, start), end)
        rows = (dict(zip(self._columns, line.split("\t"), strict=False)) for line in lines)
        return [site for row in rows if (site := _site(self._read, row)) is not None and _overlaps(site, start, end)]


class _Sorted:
    def __init__(self, file: Path, read: Reader):
        self._file, self._read = file, read
        self._sites = self._all()
        self._next: Site | None = next(self._sites, None)
        self._held: deque[Site] = deque()
        self._chrom = ""
        self._left: set[str] = set()

    def around(self, chrom: str, start: int, end: int) -> list[Site]:
        if chrom != self._chrom:
            self._go_to(chrom)
        while self._next is not None and self._next.chrom == chrom and self._next.pos - 1 < end:
            if self._held and self._next.pos < self._held[-1].pos:
                raise self._unsorted(f"{chrom}:{self._next.pos}")
            self._held.append(self._next)
            self._forget_before(start)
            self._next = next(self._sites, None)
        self._forget_before(start)
        return [site for site in self._held if _overlaps(site, start, end)]

    def _forget_before(self, start: int) -> None:
        while self._held and self._held[0].pos - 1 + len(self._held[0].ref) <= start:
            self._held.popleft()

    def _go_to(self, chrom: str) -> None:
        """Reads up to the first record of a contig."""
        self._left.add(self._chrom)
        self._held.clear()
        while self._next is not None and self._next.chrom != chrom:
            self._left.add(self._next.chrom)
            self._next = next(self._sites, None)
        if chrom in self._left:
            raise self._unsorted(chrom)
        self._chrom = chrom

    def _unsorted(self, place: str) -> DataError:
        hint = f"bcftools sort -Oz -o sorted.vcf.gz {self._file.name} && tabix -p vcf sorted.vcf.gz"
        return DataError(f"not sorted: {place} comes again or too late", where=str(self._file), hint=hint)

    def _all(self) -> Iterator[Site]:
        for frame in iter_variants(self._file, CHUNK, keep_damaged=True):
            for row in frame.to_dict("records"):
                site = _site(self._read, row)
                if site is not None:
                    yield site


def _site(read: Reader, row: Mapping[str, Any]) -> Site | None:
    try:
        return read(row)
    except DataError:
        return None


def _overlaps(site: Site, start: int, end: int) -> bool:
    return site.pos - 1 < end and site.pos - 1 + len(site.ref) > start

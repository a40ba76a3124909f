"""Conversion of files with variants, in any of four forms, to windows.

vcf        VCF or BCF; needs a genome; the only form with haplotypes, neighbours and regions
sites      a table with chrom, pos, ref and alt, or with hgvs; needs a genome
manifest   an Illumina manifest; with a genome, alleles are ordered as reference and alternate; without one, the
           manifest's own flanks are used and alleles keep the array's order
flanks     a table with `ACGT[A/G]TTC` or left, alleles and right; no genome
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.tasks.dna.flanks import flank_columns, in_place_text
from mammal.tasks.dna.genome import Genome
from mammal.tasks.dna.haplotypes import genotype_of
from mammal.tasks.dna.manifest import NEEDED, is_manifest, iter_manifest, locus_of, oriented
from mammal.tasks.dna.neighbours import Neighbours
from mammal.tasks.dna.site import Site
from mammal.tasks.dna.vcf import HGVS, has_coordinates, site_of
from mammal.tasks.dna.windows import HAPLOTYPES, IN_PLACE, RENDERINGS, Window, render
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.tables.encodings import checked_encoding
from mammal.tasks.tables.lines import DAMAGED, UTF_8
from mammal.tasks.tables.readers import CHUNK, existing_file, file_format, iter_tables
from mammal.tasks.tables.variant_files import FIXED, iter_variants, read_header
from mammal.tasks.views.dna import cropped
from mammal.tokenization.errors import did_you_mean
from mammal.tokenization.variants import alternate, reference

if TYPE_CHECKING:
    import pandas as pd

WINDOW = 512
"""Default number of bases of a window."""

COLUMNS = {
    "sequence": "text",
    "allele": "text",
    "haplotype": "integer",
    "start": "integer",
    "end": "integer",
    "dosage": "integer",
    "oriented": "text",
    "left_out": "text",
}
"""Columns of a window, and their types.

allele: numbers of the site's alleles in the sequence, such as `0/1`; start, end: bases of the genome that the window
covers, from 1, both included; dosage: copies of alternate alleles that the sample has (for a window with one allele,
copies of that allele); oriented: `no` if it is unknown which allele is the reference; left_out: records and alleles
that could not be written into the window, with reasons.
"""


@dataclass(frozen=True)
class VariantFile:
    """A file of variants.

    Attributes:
        path: the file.
        form: vcf, sites, manifest or flanks.
        columns: columns of its table.
        encoding: encoding of a text file, Python's name of it. None: UTF-8, or UTF-16 with a byte order mark.
    """

    path: Path
    form: str
    columns: tuple[str, ...]
    encoding: str | None = None

    @property
    def is_table(self) -> bool:
        """Whether the file is read as any other table, and not by a reader of its form."""
        return self.form in ("sites", "flanks")

    def tables(
        self, chunk: int = CHUNK, *, keep_damaged: bool = False, region: str | None = None
    ) -> Iterator[pd.DataFrame]:
        """Reads the rows as tables, like `mammal.tasks.tables.readers.iter_tables`.

        Args:
            chunk: number of rows of each table.
            keep_damaged: return damaged rows with a reason, instead of raising an error.
            region: only records of this region; the file must be an indexed VCF file.
        """
        encoding = self.encoding or UTF_8
        if is_manifest(self.path, encoding):
            return iter_manifest(self.path, chunk, keep_damaged, encoding)
        if self.form == "vcf":
            return iter_variants(self.path, chunk, keep_damaged, region)
        return iter_tables(self.path, chunk, keep_damaged=keep_damaged, encoding=encoding)


def variant_file(path: str | os.PathLike[str], encoding: str | None = None) -> VariantFile:
    """Determines the form and the columns of a file with variants.

    Args:
        path: the file.
        encoding: encoding of a table or a manifest. None: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        DataError: the file does not exist, or has no columns with variants; or there is no such encoding, or the format
            of the file has none to choose.
    """
    file = existing_file(Path(path).expanduser())
    encoding = checked_encoding(encoding, file_format(file), file)
    name = encoding or UTF_8
    if is_manifest(file, name):
        columns = next(iter_manifest(file, 1, keep_damaged=True, encoding=name)).columns.drop(DAMAGED)
        return VariantFile(file, "manifest", tuple(map(str, columns)), encoding)
    if file_format(file) in ("vcf", "bcf"):
        return VariantFile(file, "vcf", read_header(file).columns)
    first = next(iter_tables(file, 1, keep_damaged=True, encoding=name), None)
    columns = () if first is None else tuple(map(str, first.columns.drop(DAMAGED, errors="ignore")))
    if has_coordinates(columns) or HGVS in columns:
        return VariantFile(file, "sites", columns, encoding)
    if set(NEEDED) <= set(columns):
        return VariantFile(file, "manifest", columns, encoding)
    if flank_columns(columns):
        return VariantFile(file, "flanks", columns, encoding)
    hint = "chrom, pos, ref and alt; or hgvs; or ACGT[A/G]TTC in a column sequence; or left, alleles and right"
    raise DataError("no columns of variants", where=str(file), hint=hint)


class Renderer:
    """Converts the rows of a file to windows.

    Args:
        source: the file.
        reference: FASTA file of the genome.
        window: number of bases of the genome that a window covers.
        rendering: one of `mammal.tasks.dna.windows.RENDERINGS`.
        sample: sample for haplotypes or dosage (VCF).
        neighbours: write the other records of a window in place, too (VCF). Haplotypes always have them.

    Raises:
        TaskError: the rendering is not possible for the form of the file, or needs a genome.
        DataError: the genome or the sample does not exist.
    """

    def __init__(
        self,
        source: VariantFile,
        *,
        reference: str | os.PathLike[str] | None = None,
        window: int = WINDOW,
        rendering: str = "in_place",
        sample: str | None = None,
        neighbours: bool = False,
    ):
        if rendering not in RENDERINGS:
            hint = did_you_mean(rendering, RENDERINGS, noun="rendering")
            raise TaskError(f"there is no rendering {rendering!r}", hint=hint)
        if window < 1:
            raise TaskError(f"a window has at least 1 base, not {window}")
        self.source, self.window, self.rendering = source, window, rendering
        self._check(reference, sample, neighbours)
        self.genome = None if reference is None else Genome(reference)
        self._sample = None if sample is None else read_header(source.path).column_of(sample)
        samples = [] if self._sample is None else [self._sample]
        self._read = partial(site_of, genome=self.genome, samples=samples)
        wanted = rendering in HAPLOTYPES or (neighbours and rendering in IN_PLACE)
        self._neighbours = Neighbours(source.path, self._read) if wanted else None
        self._flanks = flank_columns(source.columns)

    @property
    def reads(self) -> list[str]:
        """Columns of the file that are needed: for a VCF file, those of at most one sample."""
        if self.source.form != "vcf":
            return list(self.source.columns)
        return [name for name in self.source.columns if name in (*FIXED, "format", self._sample)]

    def windows(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns the windows of a row, at least one, each with the columns `COLUMNS`.

        Raises:
            MammalError: the row can't be rendered; the message names the record.
        """
        if self.source.form == "flanks":
            return [_plain(self._one_allele(in_place_text(row, self._flanks, self.window)))]
        if self.source.form == "manifest":
            locus = locus_of(row)
            if self.genome is None:
                return [_plain(self._one_allele(cropped(locus.in_place, self.window))) | {"oriented": "no"}]
            site = oriented(locus, self.genome)
        else:
            site = self._read(row)
        assert self.genome is not None, "asked for when this was made"
        others: Sequence[Site] = ()
        if self._neighbours is not None:
            start = site.pos - 1
            others = self._neighbours.around(site.chrom, start - self.window, start + len(site.ref) + self.window)
        found = render(site, self.genome, self.window, self.rendering, sample=self._sample, others=others)
        return [self._filled(window, site) for window in found]

    def _one_allele(self, text: str) -> str:
        return {"reference": reference, "alternate": alternate}.get(self.rendering, str)(text)

    def _filled(self, window: Window, site: Site) -> dict[str, Any]:
        dosage = None
        if self._sample is not None:
            only = window.alleles[0] if len(window.alleles) == 1 and window.alleles[0] else None
            dosage = genotype_of(site, self._sample).dosage(only)
        return {
            "sequence": window.sequence,
            "allele": "/".join(map(str, window.alleles)),
            "haplotype": window.haplotype,
            "start": window.start + 1,
            "end": window.end,
            "dosage": dosage,
            "oriented": "yes",
            "left_out": "; ".join(window.left_out) or None,
        }

    def _check(self, reference: object, sample: str | None, neighbours: bool) -> None:
        form, where = self.source.form, str(self.source.path)
        if form in ("vcf", "sites") and reference is None:
            raise TaskError("the bases around a site are read from a genome", where=where, hint="reference=genome.fa")
        if form == "flanks" and reference is not None:
            raise TaskError("flanks are not looked up in a genome", where=where, hint="leave reference out")
        if form == "flanks" or (form == "manifest" and reference is None):
            known = (*IN_PLACE[:1], *(("reference", "alternate") if form == "flanks" else ()))
            if self.rendering not in known:
                hint = f"{form} can be rendered {' or '.join(known)}" + (
                    "" if form == "flanks" else ", or give reference="
                )
                raise TaskError(f"{self.rendering} is not possible with {form} alone", where=where, hint=hint)
        if form != "vcf" and (sample is not None or neighbours or self.rendering in HAPLOTYPES):
            raise TaskError("only a VCF file has samples and neighbours", where=where)
        if self.rendering in HAPLOTYPES and sample is None:
            raise TaskError("a haplotype needs the name of a sample", hint="sample=NA12878")


def _plain(sequence: str) -> dict[str, Any]:
    return dict.fromkeys(COLUMNS) | {"sequence": sequence}

"""Variant data as windows with the variant written in place (docs/prompt-language.md).

sequence    …ACC[A/G]TTG…   …ACC[A/-]TTG…   …ACC[-/GT]TTG…
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError
from mammal.tasks.readers import read_table
from mammal.tasks.stretches import cluster_by_stretch
from mammal.tokenization.variants import Placed, Variant, write_in_place

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

RELEASE = "GRCh38"
MIN_BARCODES = 10
"""Measurements of fewer barcodes are left out: their spread is twice that of the others."""

FLANK = 16
"""Bases that must agree behind a variant for its end to be known."""

OVERLAP = 64
"""Windows that share so many bases in a row are of one place in the genome (or of copies that young)."""

SNV = "single_nucleotide_variant"


def saturation_mutagenesis(file: Path, references: Path, limit: int | None = None) -> pd.DataFrame:
    """Kircher et al. 2019: log2 effect of each single-base change or deletion of a regulatory element.

    Columns: sequence (the whole element on the genome's plus strand, the variant in place), effect (log2), element (the
    experiment), region (experiments on overlapping stretches of the genome have one region), position, barcodes.

    Raises:
        DataError: a variant of an element whose reference is not in `references`, or does not agree with it.
    """
    table = read_table(file)
    table = table[(table["Release"] == RELEASE) & table["Pos"].str.isdigit()]
    table = table[table["Barcodes"].astype(int) >= MIN_BARCODES].head(limit or len(table))
    elements = read_table(references)
    elements = elements[elements["release"] == RELEASE].set_index("element")
    elements = elements.assign(region=_regions(elements))
    if missing := sorted(set(table["Element"]) - set(elements.index)):
        raise DataError(f"no reference sequence of {', '.join(missing)}", where=str(references))
    windows, starts = elements["ref_sequence"].to_dict(), elements["start"].astype(int).to_dict()
    alleles = zip(table["Element"], table["Pos"].astype(int), table["Ref"], table["Alt"], strict=True)
    return table.assign(
        sequence=[
            write_in_place(windows[element], [Placed(at - starts[element], Variant(ref, (alt.replace("-", ""),)))])
            for element, at, ref, alt in alleles
        ],
        region=table["Element"].map(elements["region"]),
    ).rename(columns={"Coefficient": "effect", "Element": "element", "Pos": "position", "Barcodes": "barcodes"})[
        ["sequence", "effect", "element", "region", "position", "barcodes"]
    ]


def _regions(elements: pd.DataFrame) -> list[str]:
    """For each element, the first one of the table that it overlaps: itself, where no earlier one does."""
    spans = [
        (name, chrom, int(start), int(end))
        for name, chrom, start, end in zip(
            elements.index, elements["chrom"], elements["start"], elements["end"], strict=True
        )
    ]
    return [
        next(other for other, at, first, last in spans if at == chrom and first <= end and start <= last)
        for _, chrom, start, end in spans
    ]


def clinvar_windows(file: Path, limit: int | None = None) -> pd.DataFrame:
    """ClinVar: 1,024 reference bases with the variant in place of its reference allele.

    The file has a reference and an alternate window of equal length for each row; behind an insertion or deletion the
    alternate one is shifted, and bases that only it has (beyond the reference window) are dropped. Insertions and
    deletions in repeats stand as far left as they can, as in VCF files. Rows in which the windows do not show one
    variant with `FLANK` equal bases behind it, or not the kind that the row names, are set aside and counted.

    Columns: sequence, significance (Benign or Pathogenic), variant_type, cluster (of overlapping windows).
    """
    table = read_table(file, limit=limit)
    placed = [
        _as_declared(variant_between(ref, alt), kind)
        for ref, alt, kind in zip(table["ref"], table["alt"], table["variant_type"], strict=True)
    ]
    known = [variant is not None for variant in placed]
    if aside := known.count(False):
        logger.info("clinvar: %d rows set aside whose windows do not show one whole variant", aside)
    table = table[known].assign(
        sequence=[write_in_place(ref, [at]) for ref, at in zip(table["ref"], placed, strict=True) if at is not None]
    )
    table = table.assign(cluster=cluster_by_stretch(table["ref"].tolist(), OVERLAP))
    return table.rename(columns={"CLNSIG": "significance"})[["sequence", "significance", "variant_type", "cluster"]]


def variant_between(ref: str, alt: str) -> Placed | None:
    """The smallest single change of `ref` that agrees with `alt` as far as both windows reach.

    Returns:
        None where they are equal, or where no change leaves `FLANK` equal bases behind it.
    """
    ref, alt = ref.upper(), alt.upper()
    room = min(len(ref), len(alt))
    start = next((i for i in range(room) if ref[i] != alt[i]), room)
    for size in range(1, 2 * (room - start)):
        for deleted in range(max(0, size - (room - start)), min(size, room - start) + 1):
            inserted = size - deleted
            behind = room - start - max(deleted, inserted)
            after = ref[start + deleted : start + deleted + behind]
            if behind >= FLANK and after == alt[start + inserted : start + inserted + behind]:
                return _leftmost(ref, start, ref[start : start + deleted], alt[start : start + inserted])
    return None


def _leftmost(window: str, start: int, ref: str, alt: str) -> Placed:
    """A pure insertion or deletion as far left as it can stand and mean the same (Tan, Abecasis, Kang 2015)."""
    allele = ref or alt
    while start and not (ref and alt) and window[start - 1] == allele[-1]:
        start, allele = start - 1, allele[-1] + allele[:-1]
    if ref and alt:
        return Placed(start, Variant(ref, (alt,)))
    return Placed(start, Variant(allele, ("",)) if ref else Variant("", (allele,)))


def _as_declared(placed: Placed | None, kind: str) -> Placed | None:
    return None if placed is None or (kind == SNV and not placed.variant.is_snv) else placed

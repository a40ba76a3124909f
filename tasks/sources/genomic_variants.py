"""Variant data as windows with the variant written in place (docs/prompt-language.md).

sequence    …ACC[A/G]TTG…   …ACC[A/-]TTG…   …ACC[-/GT]TTG…

Further columns describe the variant, so that predictions can be analysed by kind of change: `variant_class`, `ref` and
`alt` (of the variant as written), and for substitutions `context`, such as `A[C>T]G` (`mammal.tasks.dna.change`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.dna.change import change_at
from mammal.tasks.errors import DataError
from mammal.tasks.sequences.stretches import cluster_by_stretch
from mammal.tasks.tables.readers import read_table
from mammal.tokenization.variants import Placed, Variant, write_in_place

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

RELEASE = "GRCh38"
MIN_BARCODES = 10
"""Measurements with fewer barcodes are left out: their spread is twice as large."""

FLANK = 16
"""Number of bases behind a variant that must agree, so that the end of the variant is certain."""

OVERLAP = 64
"""Windows that share this many consecutive bases are taken to overlap in the genome (or are recent copies)."""

SNV = "single_nucleotide_variant"

DESCRIBED = ["variant_class", "ref", "alt", "context"]
"""Columns that describe the change of a variant."""


def saturation_mutagenesis(file: Path, references: Path, limit: int | None = None) -> pd.DataFrame:
    """Reads the saturation mutagenesis of Kircher et al. 2019: log2 effect of single-base changes and deletions.

    Columns: sequence (the whole regulatory element on the plus strand of the genome, with the variant in place), effect
    (log2), element (the experiment), region (the same for experiments on overlapping stretches of the genome),
    position, barcodes, and `DESCRIBED`.

    Args:
        file: table of the measured variants.
        references: table of the reference sequences of the elements.
        limit: maximum number of rows. Default: all.

    Raises:
        DataError: an element has no reference sequence in `references`, or a variant does not agree with it.
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
    placed = [Placed(at - starts[element], Variant(ref, (alt.replace("-", ""),))) for element, at, ref, alt in alleles]
    table = _written(table, [windows[element] for element in table["Element"]], placed)
    names = {"Coefficient": "effect", "Element": "element", "Pos": "position", "Barcodes": "barcodes"}
    table = table.assign(region=table["Element"].map(elements["region"])).rename(columns=names)
    return table[["sequence", "effect", "element", "region", "position", "barcodes", *DESCRIBED]]


def _written(table: pd.DataFrame, windows: Sequence[str], placed: Sequence[Placed]) -> pd.DataFrame:
    """Adds the column `sequence`, the window with the variant in place, and the columns of `DESCRIBED`."""
    changes = [change_at(window.upper(), at) for window, at in zip(windows, placed, strict=True)]
    return table.assign(
        sequence=[write_in_place(window, [at]) for window, at in zip(windows, placed, strict=True)],
        variant_class=[change.sort for change in changes],
        ref=[change.ref for change in changes],
        alt=[change.alt for change in changes],
        context=[change.context for change in changes],
    )


def _regions(elements: pd.DataFrame) -> list[str]:
    """For each element, the first element of the table that overlaps it: the element itself if no earlier one does."""
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


def clinvar_windows(file: Path, limit: int | None = None, *, only_snv: bool = False) -> pd.DataFrame:
    """Reads ClinVar windows: 1,024 reference bases with the variant in place of its reference allele.

    Each row of the file has a reference and an alternate window of equal length. Behind an insertion or deletion the
    alternate window is shifted; its bases beyond the end of the reference window are dropped. Insertions and deletions
    in repeats are placed as far left as possible, as in VCF files. Rows are skipped and counted if their windows do not
    show exactly one variant with `FLANK` equal bases behind it, or show another kind of variant than the row names.

    Columns: sequence, significance (Benign or Pathogenic), variant_type, cluster (of overlapping windows), and
    `DESCRIBED`.

    Args:
        file: table with reference and alternate windows.
        limit: maximum number of rows. Default: all.
        only_snv: read only substitutions of one base.
    """
    table = read_table(file, limit=None if only_snv else limit)
    table = table[table["variant_type"] == SNV].head(limit or len(table)) if only_snv else table
    read = [
        _as_declared(variant_between(ref, alt), kind)
        for ref, alt, kind in zip(table["ref"], table["alt"], table["variant_type"], strict=True)
    ]
    placed = [at for at in read if at is not None]
    if aside := len(read) - len(placed):
        logger.info("clinvar: %d rows left out whose windows do not show one whole variant", aside)
    table = table[[at is not None for at in read]]
    windows = table["ref"].tolist()
    table = _written(table, windows, placed).assign(cluster=cluster_by_stretch(windows, OVERLAP))
    columns = ["sequence", "significance", "variant_type", "cluster", *DESCRIBED]
    return table.rename(columns={"CLNSIG": "significance"})[columns]


def variant_between(ref: str, alt: str) -> Placed | None:
    """Finds the smallest single change of `ref` that agrees with `alt` as far as both windows reach.

    Args:
        ref: bases of the reference window.
        alt: bases of the alternate window.

    Returns:
        The change and its position; None if the windows are equal, or if no change leaves `FLANK` equal bases behind.
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
    """Moves a pure insertion or deletion to the leftmost equivalent position (Tan, Abecasis, Kang 2015)."""
    allele = ref or alt
    while start and not (ref and alt) and window[start - 1] == allele[-1]:
        start, allele = start - 1, allele[-1] + allele[:-1]
    if ref and alt:
        return Placed(start, Variant(ref, (alt,)))
    return Placed(start, Variant(allele, ("",)) if ref else Variant("", (allele,)))


def _as_declared(placed: Placed | None, kind: str) -> Placed | None:
    return None if placed is None or (kind == SNV and not placed.variant.is_snv) else placed

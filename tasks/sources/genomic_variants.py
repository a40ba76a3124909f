"""Variant data as windows with the variant written in place (docs/prompt-language.md).

sequence    …ACC[A/G]TTG…   …ACC[A/-]TTG…   …ACC[-/GT]TTG…

Beside it stands what the variant is, for whoever wants to look at answers by kind of change: `variant_class`, `ref` and
`alt` (of the variant as written), and `context`, `A[C>T]G`, of substitutions (`mammal.tasks.dna.change`).
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
"""Measurements of fewer barcodes are left out: their spread is twice that of the others."""

FLANK = 16
"""Bases that must agree behind a variant for its end to be known."""

OVERLAP = 64
"""Windows that share so many bases in a row are of one place in the genome (or of copies that young)."""

SNV = "single_nucleotide_variant"

DESCRIBED = ["variant_class", "ref", "alt", "context"]
"""Columns that tell what a variant changes."""


def saturation_mutagenesis(file: Path, references: Path, limit: int | None = None) -> pd.DataFrame:
    """Kircher et al. 2019: log2 effect of each single-base change or deletion of a regulatory element.

    Columns: sequence (the whole element on the genome's plus strand, the variant in place), effect (log2), element (the
    experiment), region (experiments on overlapping stretches of the genome have one region), position, barcodes, and
    `DESCRIBED`.

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
    placed = [Placed(at - starts[element], Variant(ref, (alt.replace("-", ""),))) for element, at, ref, alt in alleles]
    table = _written(table, [windows[element] for element in table["Element"]], placed)
    names = {"Coefficient": "effect", "Element": "element", "Pos": "position", "Barcodes": "barcodes"}
    table = table.assign(region=table["Element"].map(elements["region"])).rename(columns=names)
    return table[["sequence", "effect", "element", "region", "position", "barcodes", *DESCRIBED]]


def _written(table: pd.DataFrame, windows: Sequence[str], placed: Sequence[Placed]) -> pd.DataFrame:
    """Adds the column `sequence`, each variant in place in its window, and the columns of `DESCRIBED`."""
    changes = [change_at(window.upper(), at) for window, at in zip(windows, placed, strict=True)]
    return table.assign(
        sequence=[write_in_place(window, [at]) for window, at in zip(windows, placed, strict=True)],
        variant_class=[change.sort for change in changes],
        ref=[change.ref for change in changes],
        alt=[change.alt for change in changes],
        context=[change.context for change in changes],
    )


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


def clinvar_windows(file: Path, limit: int | None = None, *, only_snv: bool = False) -> pd.DataFrame:
    """ClinVar: 1,024 reference bases with the variant in place of its reference allele.

    The file has a reference and an alternate window of equal length for each row; behind an insertion or deletion the
    alternate one is shifted, and bases that only it has (beyond the reference window) are dropped. Insertions and
    deletions in repeats stand as far left as they can, as in VCF files. Rows in which the windows do not show one
    variant with `FLANK` equal bases behind it, or not the kind that the row names, are set aside and counted.

    Columns: sequence, significance (Benign or Pathogenic), variant_type, cluster (of overlapping windows), and
    `DESCRIBED`.

    Args:
        only_snv: substitutions of one base alone.
    """
    table = read_table(file, limit=None if only_snv else limit)
    table = table[table["variant_type"] == SNV].head(limit or len(table)) if only_snv else table
    read = [
        _as_declared(variant_between(ref, alt), kind)
        for ref, alt, kind in zip(table["ref"], table["alt"], table["variant_type"], strict=True)
    ]
    placed = [at for at in read if at is not None]
    if aside := len(read) - len(placed):
        logger.info("clinvar: %d rows set aside whose windows do not show one whole variant", aside)
    table = table[[at is not None for at in read]]
    windows = table["ref"].tolist()
    table = _written(table, windows, placed).assign(cluster=cluster_by_stretch(windows, OVERLAP))
    columns = ["sequence", "significance", "variant_type", "cluster", *DESCRIBED]
    return table.rename(columns={"CLNSIG": "significance"})[columns]


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

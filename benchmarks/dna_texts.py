"""Windows with one variant each, written in place: from public sets, or made from a seed."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from mammal.tokenization.variants import from_vcf, write_in_place

SEED, MADE, MADE_LENGTH = 0, 2_000, 512


def windows(data: Path | None, limit: int | None = None) -> dict[str, list[str]]:
    """Returns a description of each set of windows -> its texts.

    Args:
        data: folder of local copies; missing sets are left out. None: windows made from a seed.
        limit: take only this many windows of each set, the first ones.
    """
    if data is None:
        return {"made from a seed": list(islice(_made(random.Random(SEED)), limit or MADE))}
    there = {what: (data / folder, read) for what, (folder, read) in SETS.items() if (data / folder).is_dir()}
    return {what: list(islice(read(folder), limit)) for what, (folder, read) in there.items()}


def _made(draw: random.Random) -> Iterator[str]:
    while True:
        window = "".join(draw.choices("ACGT", k=MADE_LENGTH))
        at = draw.randrange(MADE_LENGTH // 2)
        ref, alt = draw_alleles(draw, window, at)
        yield write_in_place(window, [from_vcf(at, ref, [alt])])


def draw_alleles(draw: random.Random, window: str, at: int) -> tuple[str, str]:
    """Samples a record in VCF form: of ten, eight substitutions, a deletion and an insertion of up to eight bases."""
    kind = draw.randrange(10)
    if kind == 0:
        return window[at : at + draw.randint(2, 9)], window[at]
    if kind == 1:
        return window[at], window[at] + "".join(draw.choices("ACGT", k=draw.randint(1, 8)))
    return window[at], draw.choice([base for base in "ACGT" if base != window[at]])


def _clinvar(folder: Path) -> Iterator[str]:
    """Rows whose two windows contain one whole variant, as the task `clinvar` reads them."""
    import pandas as pd

    from mammal.tasks.sources.genomic_variants import variant_between

    table = pd.read_parquet(folder / "my_processed_clinvar.parquet", columns=["ref", "alt"])
    for ref, alt in zip(table["ref"], table["alt"], strict=True):
        placed = variant_between(ref, alt)
        if placed is not None:
            yield write_in_place(ref, [placed])


def _manifest(folder: Path) -> Iterator[str]:
    """Loci of an array with their flanks. It is not known which allele is the reference, so their order is kept."""
    for row in _rows(folder / "snp_windows.csv.gz"):
        yield f"{row['left'].upper()}[{row['allele1']}/{row['allele2']}]{row['right'].upper()}"


def _mpra(folder: Path) -> Iterator[str]:
    """Every tenth single-base change or deletion, in its regulatory element."""
    elements = {row["element"]: row for row in _rows(folder / "reference_sequences_reconstructed.csv")}
    rows = (row for row in _rows(folder / "elements.tsv.gz") if row["Release"] == "GRCh38" and row["Pos"].isdigit())
    for row in islice(rows, 0, None, 10):
        window = elements[row["Element"]]["ref_sequence"]
        at = int(row["Pos"]) - int(elements[row["Element"]]["start"])
        yield f"{window[:at]}[{row['Ref']}/{row['Alt']}]{window[at + 1 :]}"


def _rows(file: Path) -> Iterator[dict[str, str]]:
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines, delimiter="\t" if ".tsv" in file.suffixes else ",")


UNORIENTED = "Illumina manifest"
"""A set whose first allele need not be the reference."""

SETS: dict[str, tuple[str, Callable[[Path], Iterator[str]]]] = {
    "ClinVar": ("dna_snp_clinvar_windows", _clinvar),
    UNORIENTED: ("dna_snp_illumina_manifest", _manifest),
    "MPRA, every tenth": ("dna_snp_mpra_satmut", _mpra),
}

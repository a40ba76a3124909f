"""A genome and a variant file made from a seed, small enough to be written quickly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

CONTIGS = 4
LINE = 60
HEADER = """##fileformat=VCFv4.3
##INFO=<ID=AF,Number=A,Type=Float,Description="Allele frequency">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tmade
"""
GENOTYPES = ("0|1", "1|0", "1|1")


@dataclass(frozen=True)
class Made:
    """The two files, and how many bases and records they contain."""

    genome: Path
    variants: Path
    bases: int
    records: int


def make(folder: Path, bases: int, records: int) -> Made:
    """Writes random bases in four contigs, and sorted records with a frequency and a phased genotype.

    Of ten records eight are substitutions, one is a deletion and one an insertion, each of one to eight bases.
    """
    draw = np.random.default_rng(0)
    genome, variants = folder / "genome.fa", folder / "variants.vcf"
    each, length = records // CONTIGS, bases // CONTIGS
    with genome.open("w", encoding="ascii") as fasta, variants.open("w", encoding="ascii") as vcf:
        vcf.write(HEADER)
        for number in range(1, CONTIGS + 1):
            sequence = _bases(draw, length)
            lines = (sequence[at : at + LINE] for at in range(0, length, LINE))
            fasta.write(f">chr{number}\n" + "\n".join(lines) + "\n")
            for at in np.sort(draw.choice(length // 10 - 2, each, replace=False) * 10).tolist():
                ref, alt = _alleles(draw, sequence, at)
                frequency, genotype = draw.random(), GENOTYPES[draw.integers(3)]
                vcf.write(f"chr{number}\t{at + 1}\t.\t{ref}\t{alt}\t.\t.\tAF={frequency:.4f}\tGT\t{genotype}\n")
    return Made(genome, variants, length * CONTIGS, each * CONTIGS)


def _bases(draw: np.random.Generator, count: int) -> str:
    return np.frombuffer(b"ACGT", np.uint8)[draw.integers(0, 4, count)].tobytes().decode()


def _alleles(draw: np.random.Generator, sequence: str, at: int) -> tuple[str, str]:
    ref = sequence[at]
    kind, size = draw.integers(10), int(draw.integers(1, 9))
    if kind == 0:
        return sequence[at : at + 1 + size], ref
    if kind == 1:
        return ref, ref + _bases(draw, size)
    others = [base for base in "ACGT" if base != ref]
    return ref, others[draw.integers(3)]

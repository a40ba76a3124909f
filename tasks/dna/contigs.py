"""Names of a contig in different files: `1` and `chr1`, `MT` and `chrM`, and RefSeq accessions of human chromosomes."""

from __future__ import annotations

from collections.abc import Iterator

REFSEQ = {
    "GRCh37": (10, 11, 11, 11, 9, 11, 13, 10, 11, 10, 9, 11, 10, 8, 9, 9, 10, 9, 9, 10, 8, 10, 10, 9),
    "GRCh38": (11, 12, 12, 12, 10, 12, 14, 11, 12, 11, 10, 12, 11, 9, 10, 10, 11, 10, 10, 11, 9, 11, 11, 10),
}
"""Versions of NC_000001 to NC_000024 (chromosomes 1 to 22, X, Y) in two assemblies.

Source: NCBI Assembly, GCF_000001405.25 (GRCh37.p13) and GCF_000001405.26 (GRCh38).
"""

MITOCHONDRION = "NC_012920.1"
"""The revised Cambridge Reference Sequence, the mitochondrion of both assemblies."""


_CHROMOSOMES = {
    f"NC_{number:06d}.{version}": f"chr{number if number < 23 else 'XY'[number - 23]}"
    for versions in REFSEQ.values()
    for number, version in enumerate(versions, start=1)
}


def synonyms(name: str) -> Iterator[str]:
    """Yields the name itself, then the names of the same sequence in other files."""
    yield name
    plain = (human_chromosome(name) or name).removeprefix("chr")
    if plain in ("M", "MT"):
        yield from ("chrM", "MT", "chrMT", "M", MITOCHONDRION)
        return
    yield from (f"chr{plain}", plain)
    yield from (accession for accession, chromosome in _CHROMOSOMES.items() if chromosome == f"chr{plain}")


def human_chromosome(accession: str) -> str | None:
    """Returns the name of a human chromosome, such as `chr7` for NC_000007.13 (GRCh37) and NC_000007.14 (GRCh38).

    None for an accession that is not one of a human chromosome.
    """
    return "chrM" if accession == MITOCHONDRION else _CHROMOSOMES.get(accession)

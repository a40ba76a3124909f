"""Rows -> the alleles of a site, each with the window around it.

a genome and columns     chrom, pos, ref, alt (as a VCF file has them), or hgvs: the window is cut out of the genome
text written in place    one column such as `ACGT[A/G]TTC`, one site a row, read as it stands: no genome is needed
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mammal.errors import ConfigError, DataError, did_you_mean
from mammal.rows.tables import ReadColumns
from mammal.tasks.dna.alleles import AllelePair
from mammal.tasks.dna.place import Unsupported, trim
from mammal.tokenization.variants import NO_BASES, Variant, parse

if TYPE_CHECKING:
    from mammal.rows.batched import Row
    from mammal.tasks.dna.genome import Genome

COORDINATES = ("chrom", "pos", "ref", "alt")
HGVS = "hgvs"
IN_PLACE = "sequence"
_HELPFUL = ("id",)
"""Columns that only make a site easier to name."""


@dataclass(frozen=True)
class Allele:
    """An alternate allele of a row.

    Attributes:
        name: as the row spells it.
        pair: its window with either allele, or why it can't be written as bases.
    """

    name: str
    pair: AllelePair | Unsupported


class AlleleSource(ABC):
    """Where alleles come from.

    Attributes:
        reading: columns that are read.
    """

    reading: ReadColumns

    @abstractmethod
    def alleles(self, row: Row) -> list[Allele]:
        """The alternate alleles of a row, in its order; at least one.

        Raises:
            MammalError: the row can't be read, or contradicts the genome.
        """


class FromGenome(AlleleSource):
    """Sites of a genome.

    Args:
        names: the columns that name a site: `COORDINATES`, or `HGVS`.
        window: bases of a window.
    """

    def __init__(self, genome: Genome, names: Sequence[str], window: int, aliases: Mapping[str, str]):
        self.genome, self.window = genome, window
        self.reading = ReadColumns(tuple(names), aliases, beside=_HELPFUL)

    def alleles(self, row: Row) -> list[Allele]:
        from mammal.tasks.dna.vcf import site_of
        from mammal.tasks.dna.windows import allele_pairs

        site = site_of(_renamed(row, self.reading.aliases), genome=self.genome)
        if not site.alts:
            raise DataError("the record has no alternate allele", where=site.where)
        pairs = allele_pairs(site, self.genome, self.window)
        return [Allele(name, pair) for name, pair in zip(site.alts, pairs, strict=True)]


class InPlace(AlleleSource):
    """Texts with one site each, written in place."""

    def __init__(self, aliases: Mapping[str, str]):
        self.reading = ReadColumns((IN_PLACE,), aliases)

    def alleles(self, row: Row) -> list[Allele]:
        text = _renamed(row, self.reading.aliases).get(IN_PLACE)
        if not isinstance(text, str) or not text:
            raise DataError("empty", where=f"column {self.reading.aliases.get(IN_PLACE, IN_PLACE)}")
        pieces = parse(text)
        sites = [place for place, piece in enumerate(pieces) if isinstance(piece, Variant)]
        if len(sites) != 1:
            what = f"the text holds {len(sites)} variants, one is scored at a time"
            raise DataError(what, hint="such as ACGT[A/G]TTC; others are written with the allele that is there")
        (at,) = sites
        variant = pieces[at]
        assert isinstance(variant, Variant), "it was chosen for that"
        before, after = ("".join(map(str, part)) for part in (pieces[:at], pieces[at + 1 :]))
        return [
            Allele(alt or NO_BASES, _pair(before, variant.ref, alt, after, number))
            for number, alt in enumerate(variant.alts, start=1)
        ]


def allele_source(
    columns: Sequence[str],
    reference: str | os.PathLike[str] | Genome | None,
    window: int,
    aliases: Mapping[str, str] | None = None,
) -> AlleleSource:
    """How a table with these columns names its variants.

    Args:
        columns: of the table.
        reference: a FASTA file, or a genome that is open.
        aliases: what the table calls columns, as {name here: its name}.

    Raises:
        DataError: the genome can't be read, or the table lacks the columns.
        ConfigError: the table has sites of a genome, and no genome is given.
    """
    aliases = dict(aliases or {})
    for name in aliases:
        if name not in (known := (*COORDINATES, *_HELPFUL, HGVS, IN_PLACE)):
            raise ConfigError(f"no column {name!r} is read", hint=did_you_mean(name, known, noun="column"))
    found = {name for name in (*COORDINATES, HGVS, IN_PLACE) if aliases.get(name, name) in columns}
    of_genome = COORDINATES if found.issuperset(COORDINATES) else (HGVS,) if HGVS in found else None
    if reference is not None and of_genome:
        from mammal.tasks.dna.genome import Genome

        genome = reference if isinstance(reference, Genome) else Genome(reference)
        return FromGenome(genome, of_genome, window, aliases)
    if reference is None and IN_PLACE in found:
        return InPlace(aliases)
    if of_genome:
        what = f"sites by {', '.join(of_genome)} need the bases around them"
        raise ConfigError(what, hint="reference=genome.fa")
    if IN_PLACE in found:
        what = f"a reference is given, but the table has no {', '.join(COORDINATES)} or {HGVS}"
        raise ConfigError(what, hint=f"without reference, the column {IN_PLACE} is read as it stands")
    what = f"variants are read from {', '.join(COORDINATES)}, from {HGVS}, or in place from {IN_PLACE}"
    raise DataError(what, hint=f"the table has {', '.join(columns) or 'no columns'}; columns= says what it calls them")


def _pair(before: str, ref: str, alt: str, after: str, number: int) -> AllelePair:
    """The pair without the bases that both alleles share, which go to the flanks."""
    front, short_ref, short_alt = trim(ref, alt)
    back = len(ref) - front - len(short_ref)
    return AllelePair(before + ref[:front], short_ref, short_alt, ref[len(ref) - back :] + after, number)


def _renamed(row: Row, aliases: Mapping[str, str]) -> Mapping[str, Any]:
    return {**row, **{name: row[theirs] for name, theirs in aliases.items() if theirs in row}} if aliases else row

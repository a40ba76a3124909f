"""Rows -> the alleles of a site, each with the window around it.

a genome and columns     chrom, pos, ref, alt (as in a VCF file), or hgvs: the window is read from the genome
text written in place    one column such as `ACGT[A/G]TTC`, one site in each row: the text is the window, no genome
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mammal.errors import ConfigError, DataError, did_you_mean
from mammal.rows.read_columns import ReadColumns
from mammal.tasks.dna.alleles import AllelePair
from mammal.tasks.dna.place import Unsupported, trim
from mammal.tokenization.variants import NO_BASES, Variant, parse_variants

if TYPE_CHECKING:
    from mammal.rows.batched import Row
    from mammal.tasks.dna.genome import Genome

COORDINATES = ("chrom", "pos", "ref", "alt")
HGVS = "hgvs"
IN_PLACE = "sequence"
_HELPFUL = ("id",)
"""Optional columns that are only used to identify a site in messages."""


@dataclass(frozen=True)
class Allele:
    """An alternate allele of a row.

    Attributes:
        name: the allele as written in the row.
        pair: the window with both alleles, or the reason why the allele can't be written as bases.
    """

    name: str
    pair: AllelePair | Unsupported


class AlleleSource(ABC):
    """Where alleles come from.

    Attributes:
        reading: names of the columns that are read.
    """

    reading: ReadColumns

    @abstractmethod
    def alleles(self, row: Row) -> list[Allele]:
        """Returns the alternate alleles of a row in their order; at least one.

        Raises:
            MammalError: the row can't be read, or contradicts the genome.
        """


class FromGenome(AlleleSource):
    """Sites of a genome.

    Args:
        genome: the reference genome.
        names: columns that identify a site: `COORDINATES` or `HGVS`.
        window: number of bases of a window.
        aliases: names of columns in the table, as {name here: name in the table}.
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
    """Sequences that each contain one site, such as `ACGT[A/G]TTC`.

    Args:
        aliases: names of columns in the table, as {name here: name in the table}.
    """

    def __init__(self, aliases: Mapping[str, str]):
        self.reading = ReadColumns((IN_PLACE,), aliases)

    def alleles(self, row: Row) -> list[Allele]:
        text = _renamed(row, self.reading.aliases).get(IN_PLACE)
        if not isinstance(text, str) or not text:
            raise DataError("empty", where=f"column {self.reading.aliases.get(IN_PLACE, IN_PLACE)}")
        pieces = parse_variants(text)
        sites = [place for place, piece in enumerate(pieces) if isinstance(piece, Variant)]
        if len(sites) != 1:
            what = f"the text contains {len(sites)} variants, but one is scored at a time"
            raise DataError(what, hint="such as ACGT[A/G]TTC; write other variants as the allele that is present")
        (at,) = sites
        variant = pieces[at]
        assert isinstance(variant, Variant), "only variants were selected"
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
    """Selects how the variants of a table are read, by its columns.

    Args:
        columns: names of the columns of the table.
        reference: a FASTA file or an open genome; None: variants are written in sequences.
        window: number of bases that are read from the genome around a site.
        aliases: names of columns in the table, as {name here: name in the table}; None: the names are the same.

    Raises:
        DataError: the genome can't be read, or the table lacks the columns, or one that `aliases` names.
        ConfigError: the table has sites of a genome and no genome is given, a genome is given and the table has no
            sites of a genome, or `aliases` is not a mapping or contains a name that is unknown or not read.
    """
    aliases = _checked(aliases, columns)
    found = {name for name in (*COORDINATES, HGVS, IN_PLACE) if aliases.get(name, name) in columns}
    named = HGVS in aliases and not any(name in aliases for name in COORDINATES)
    by_place = found.issuperset(COORDINATES) and not named
    of_genome = COORDINATES if by_place else (HGVS,) if HGVS in found else None
    if reference is not None and of_genome:
        from mammal.tasks.dna.genome import Genome

        _check_read(aliases, (*of_genome, *_HELPFUL))
        genome = reference if isinstance(reference, Genome) else Genome(reference)
        return FromGenome(genome, of_genome, window, aliases)
    if reference is None and IN_PLACE in found:
        _check_read(aliases, (IN_PLACE,))
        return InPlace(aliases)
    if of_genome:
        what = f"sites by {', '.join(of_genome)} need the bases around them"
        raise ConfigError(what, hint="reference=genome.fa")
    if IN_PLACE in found:
        what = f"a reference is given, but the table has no {', '.join(COORDINATES)} or {HGVS}"
        raise ConfigError(what, hint=f"without reference, the sequences of the column {IN_PLACE} are read")
    what = f"variants are read from {', '.join(COORDINATES)}, from {HGVS}, or in place from {IN_PLACE}"
    raise DataError(what, hint=f"the table has {', '.join(columns) or 'no columns'}; set their names with columns=")


def _checked(aliases: object, columns: Sequence[str]) -> dict[str, str]:
    """What a caller says about columns: each name is one that is read, and each value a column of the table.

    Raises:
        ConfigError: a name is unknown, or this is not a mapping of names.
        DataError: the table has no such column.
    """
    if not aliases:
        return {}
    if not isinstance(aliases, Mapping):
        hint = f"{{{IN_PLACE}: COLUMN}}, or {{chrom: COLUMN, pos: COLUMN}}"
        raise ConfigError(f"columns is {aliases!r}, not names with your columns", hint=hint)
    known = (*COORDINATES, *_HELPFUL, HGVS, IN_PLACE)
    for name, theirs in aliases.items():
        if name not in known:
            hint = did_you_mean(str(name), known, noun="column")
            if theirs in known:
                hint = f"{hint} It is columns={{NAME HERE: COLUMN OF YOUR TABLE}}: {{{theirs}: {name}}}?"
            raise ConfigError(f"columns: no column {name!r} is read", hint=hint)
        if not isinstance(theirs, str):
            raise ConfigError(f"columns: {name} is {theirs!r}, not the name of a column")
        if theirs not in columns:
            what = f"columns: {name} is read from {theirs!r}, which the table lacks"
            raise DataError(what, hint=did_you_mean(theirs, columns, noun="column"))
    return dict(aliases)


def _check_read(aliases: Mapping[str, str], read: Sequence[str]) -> None:
    """Refuses a column that the caller names and that has no part in how the variants are read."""
    for name in aliases:
        if name not in read:
            what = f"columns names {name}, and the variants are read from {', '.join(read)}"
            raise ConfigError(what, hint=f"leave {name} out")


def _pair(before: str, ref: str, alt: str, after: str, number: int) -> AllelePair:
    """The pair of alleles; bases that both alleles share are moved to the flanks."""
    front, short_ref, short_alt = trim(ref, alt)
    back = len(ref) - front - len(short_ref)
    return AllelePair(before + ref[:front], short_ref, short_alt, ref[len(ref) - back :] + after, number)


def _renamed(row: Row, aliases: Mapping[str, str]) -> Mapping[str, Any]:
    """The row with the names of its columns here; one that was read from a table has them already."""
    unnamed = {name: theirs for name, theirs in aliases.items() if theirs in row and name not in row}
    return {**row, **{name: row[theirs] for name, theirs in unnamed.items()}} if unnamed else row

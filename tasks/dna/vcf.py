"""Conversion of rows of VCF files, and of tables with the same columns or HGVS descriptions, to sites.

VCF 4.3: https://samtools.github.io/hts-specs/VCFv4.3.pdf
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mammal.tasks.dna.genotypes import sample_genotype
from mammal.tasks.dna.site import MISSING, Site, shortened
from mammal.tasks.errors import DataError
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    from mammal.tasks.dna.genome import Genome

HGVS = "hgvs"
_NEEDED = ("chrom", "pos", "ref", "alt")


def site_of(
    row: Mapping[str, Any],
    *,
    genome: Genome | None = None,
    samples: Sequence[str] = (),
    frequency: str = "AF",
    source: str = "",
) -> Site:
    """Returns the site that a row describes.

    Args:
        row: columns chrom, pos, ref and alt (alternates separated by commas, `.` for none), in any case and with or
            without `#`; also id, info and format if present. Or a column `hgvs` (`mammal.tasks.dna.hgvs`).
        genome: source of bases that an HGVS description leaves out.
        samples: columns from which genotypes are read.
        frequency: key of INFO with the alternates' frequencies. If a record has no AF, AC/AN is used instead.
        source: text before the record in error messages, such as the name of the file.

    Raises:
        DataError: a value is missing or not valid; the message names the record.
    """
    if row.get("chrom") is None or row.get("pos") is None:
        row = _with_plain_names(row)
    if HGVS in row and not all(row.get(name) for name in _NEEDED):
        from mammal.tasks.dna.hgvs import parse_hgvs

        return parse_hgvs(str(row[HGVS]), genome)
    chrom, pos, ref = _text(row, "chrom"), _text(row, "pos"), _text(row, "ref").upper()
    alts = tuple(_folded(alt) for alt in _text(row, "alt").split(",") if alt != MISSING)
    where = (
        f"{source + ', ' if source else ''}{chrom}:{pos} {shortened(ref)}>{','.join(map(shortened, alts)) or MISSING}"
    )
    try:
        position = int(pos)
    except ValueError:
        raise DataError(f"the position {pos!r} is not a whole number", where=where) from None
    genotypes = [_genotype(row, sample, len(alts) + 1, where) for sample in samples]
    return Site(
        chrom,
        position,
        ref,
        alts,
        frequencies=frequencies(str(row.get("info") or ""), len(alts), frequency),
        genotypes=tuple((sample, found.alleles, found.phased) for sample, found in genotypes),
        phase_sets=tuple(found.phase_set for _, found in genotypes),
        id=named if (named := str(row.get("id") or "")) != MISSING else "",
        where=where,
    )


def has_coordinates(columns: Iterable[str]) -> bool:
    """Whether a table has columns with the coordinates of sites, under names that `site_of` accepts."""
    return set(_NEEDED) <= set(_with_plain_names(dict.fromkeys(columns)))


def parse_info(info: str) -> dict[str, str]:
    """Parses an INFO cell: `AC=3;DB` becomes {"AC": "3", "DB": ""}, as flags have no value."""
    if info in ("", MISSING):
        return {}
    return {key: value for key, _, value in (part.partition("=") for part in info.split(";")) if key}


def frequencies(info: str, count: int, key: str = "AF") -> tuple[float | None, ...]:
    """Returns the frequency of each alternate allele, None if INFO does not give it.

    A value for each alternate under `key` (Number=A); otherwise, for AF, the alternate's count (AC) over the number of
    called alleles (AN).
    """
    fields = parse_info(info) if "=" in info else {}
    if key in fields:
        found = [_share(value) for value in fields[key].split(",")]
    elif key == "AF" and "AC" in fields and "AN" in fields:
        total = _number(fields["AN"].split(",")[0])
        counts = [_number(value) for value in fields["AC"].split(",")]
        found = [_share(n / total) if total and n is not None else None for n in counts]
    else:
        found = []
    return tuple(found) if len(found) == count else (None,) * count


def _genotype(row: Mapping[str, Any], sample: str, count: int, where: str) -> tuple[str, Any]:
    if sample not in row:
        after = list(row)[list(row).index("format") + 1 :] if "format" in row else []
        hint = did_you_mean(sample, after, noun="sample") if after else "the file has no samples"
        raise DataError(f"there is no sample {sample!r}", where=where, hint=hint)
    try:
        return sample, sample_genotype(_text(row, "format"), str(row[sample]), count)
    except DataError as error:
        raise DataError(error.what, where=f"{where}, sample {sample}", hint=error.hint) from None


def _with_plain_names(row: Mapping[str, Any]) -> dict[str, Any]:
    """Column names of VCF in lower case: `#CHROM` and `Chrom` become chrom."""
    return {_ALIASES.get(key := str(name).lstrip("#").lower(), key): value for name, value in row.items()}


_ALIASES = {"chr": "chrom", "chromosome": "chrom", "position": "pos"}


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    text = "" if value is None or value != value else str(value).strip()
    if not text:
        hint = did_you_mean(name, map(str, row), noun="column") if name not in row else None
        raise DataError(f"the record has no {name}", hint=hint or "columns chrom, pos, ref and alt, or hgvs")
    return text


def _folded(alt: str) -> str:
    """The allele in upper case; symbolic alleles keep their names."""
    return alt.upper() if alt.isalpha() else alt


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _share(value: str | float) -> float | None:
    number = _number(value) if isinstance(value, str) else value
    return number if number is not None and 0 <= number <= 1 else None

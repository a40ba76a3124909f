"""DNA variants written inside a sequence (in-place notation): reference first, on the strand of the window.

    ACGT[A/G]TTC      single-nucleotide variant          [A/C/G]           two alternate alleles
    AC[-/AT]GT        insertion                          [A/G:0.23]        with the alternate's frequency
    AC[CTT/-]GT       deletion                           [A/C/G:0.1,0.2]   one frequency for each alternate

Records of a VCF file can be converted to this notation (`from_vcf`, `write_in_place`), and this notation to plain
sequences (`reference`, `alternate`, `choose`). Everything here is text; no function reads files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mammal.tokenization.errors import PromptError

BASES = frozenset("ACGTNRYSWKMBDHV")
"""Letters of an allele or window: bases and ambiguity codes, upper case."""

NO_BASES = "-"
_VARIANT = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Variant:
    """A site and its alleles.

    Attributes:
        ref: the reference allele; "" for an insertion.
        alts: at least one alternate allele; all differ from each other and from `ref`; "" for a deletion.
        frequencies: frequency of each alternate allele, between 0 and 1; empty if unknown.

    Raises:
        PromptError: an allele is not a sequence of bases, two alleles are equal, or the frequencies are invalid.
    """

    ref: str
    alts: tuple[str, ...]
    frequencies: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        alleles = (self.ref, *self.alts)
        for allele in alleles:
            _check_bases(allele)
        if not self.alts:
            raise PromptError(f"the site {self.ref!r} has no alternate allele")
        if len(set(alleles)) < len(alleles):
            raise PromptError(f"the variant {_shown(alleles)} names an allele twice")
        if self.frequencies and len(self.frequencies) != len(self.alts):
            counts = f"{len(self.frequencies)} frequencies for {len(self.alts)} alternate alleles"
            raise PromptError(f"the variant {_shown(alleles)} has {counts}")
        if not all(0 <= frequency <= 1 for frequency in self.frequencies):
            raise PromptError(f"the variant {_shown(alleles)} has a frequency outside 0 to 1")

    def __str__(self) -> str:
        alleles = _joined((self.ref, *self.alts))
        return f"[{alleles}:{','.join(map(repr, self.frequencies))}]" if self.frequencies else f"[{alleles}]"

    @property
    def alleles(self) -> tuple[str, ...]:
        """All alleles, the reference first, in the order in which genotypes of a VCF file number them."""
        return (self.ref, *self.alts)

    @property
    def is_snv(self) -> bool:
        """Whether one base replaces one base: a single token of the vocabulary if both are A, C, G or T."""
        return len(self.alts) == 1 and len(self.ref) == len(self.alts[0]) == 1


@dataclass(frozen=True)
class Placed:
    """A variant and its position in a window: the index of the first base that it replaces, or of the base after it."""

    start: int
    variant: Variant

    @property
    def end(self) -> int:
        return self.start + len(self.variant.ref)


def from_vcf(start: int, ref: str, alts: Sequence[str], frequencies: Sequence[float] = ()) -> Placed:
    """Creates a variant from alleles in the style of VCF; bases that all alleles share are removed.

    `("A", ["AT"])` is the insertion `[-/T]` one base later; `("CTT", ["C"])` is `[TT/-]`. Shared bases are removed at
    the start first (the anchor base of VCF 4.3, section 1.6.1), then at the end.

    Args:
        start: index of the first base of `ref` in the window.
        ref: reference allele, as in the file.
        alts: alternate alleles; symbolic ones (`<DEL>`, `*`, breakends) are refused.
        frequencies: frequency of each alternate allele; empty if unknown.

    Raises:
        PromptError: an allele can't be written in place.
    """
    alleles = [allele.upper() for allele in (ref, *alts)]
    for allele in alleles:
        if not allele or not BASES.issuperset(allele):
            hint = "symbolic alleles and breakends can't be written in place; '.' is not an allele"
            raise PromptError(f"the allele {_shown([allele])!r} is not a sequence of bases", hint=hint)
    if len(set(alleles)) < len(alleles):
        raise PromptError(f"the variant {_shown(alleles)} names an allele twice")
    shortest = min(map(len, alleles))
    front = next((i for i in range(shortest) if len({allele[i] for allele in alleles}) > 1), shortest)
    alleles = [allele[front:] for allele in alleles]
    shortest = min(map(len, alleles))
    back = next((i for i in range(shortest) if len({allele[-1 - i] for allele in alleles}) > 1), shortest)
    ref, *alts = (allele[: len(allele) - back] for allele in alleles)
    return Placed(start + front, Variant(ref, tuple(alts), tuple(map(float, frequencies))))


def write_in_place(window: str, variants: Iterable[Placed]) -> str:
    """Writes variants into a reference window.

    Args:
        window: reference sequence.
        variants: variants with their positions in the window.

    Raises:
        PromptError: a variant is outside the window, overlaps another one, or its reference allele differs from the
            window.
    """
    window = window.upper()
    _check_bases(window)
    pieces: list[str] = []
    end = 0
    for placed in sorted(variants, key=lambda placed: (placed.start, placed.end)):
        where = f"variant {_shown(placed.variant.alleles)} at base {placed.start + 1} of the window"
        if placed.start < 0 or placed.end > len(window):
            raise PromptError(f"the window has {len(window)} bases", where=where)
        if placed.start < end:
            raise PromptError("it overlaps the variant before it", where=where)
        found = window[placed.start : placed.end]
        if found != placed.variant.ref:
            hint = "wrong strand, genome build or coordinate"
            what = f"the window reads {_shown([found])}, not {_shown([placed.variant.ref])}"
            raise PromptError(what, where=where, hint=hint)
        pieces += [window[end : placed.start], str(placed.variant)]
        end = placed.end
    return "".join([*pieces, window[end:]])


def parse_variants(text: str) -> list[str | Variant]:
    """Splits in-place text into sequences of bases and variants.

    Joined with `str`, the parts give the text again, but in upper case and with frequencies in their shortest form.

    Args:
        text: DNA text in in-place notation.

    Raises:
        PromptError: the text is not in in-place notation; the message names the first wrong character.
    """
    pieces: list[str | Variant] = []
    end = 0
    for match in _VARIANT.finditer(text):
        pieces += _stretch(text, end, match.start())
        try:
            pieces.append(_variant(match[1].upper()))
        except PromptError as error:
            raise PromptError(error.what, where=_place(match.start()), hint=error.hint) from None
        end = match.end()
    return [*pieces, *_stretch(text, end, len(text))]


def variant_spans(text: str) -> list[tuple[int, int]]:
    """Returns the characters [start, end) of each variant of in-place text, in order, with its brackets.

    Args:
        text: DNA text in in-place notation; it is not checked.
    """
    return [match.span() for match in _VARIANT.finditer(text)]


def choose(text: str, alleles: int | Sequence[int]) -> str:
    """Returns the plain sequence in which each variant is replaced by one of its alleles.

    Args:
        text: DNA text in in-place notation.
        alleles: number of the allele, 0 for the reference: one number for all variants, or one for each variant in
            order (a haplotype, as in a phased VCF genotype).

    Raises:
        PromptError: a variant has no such allele, or the number of alleles differs from the number of variants.
    """
    pieces = parse_variants(text)
    count = sum(isinstance(piece, Variant) for piece in pieces)
    numbers = [alleles] * count if isinstance(alleles, int) else list(alleles)
    if len(numbers) != count:
        raise PromptError(f"{len(numbers)} alleles are chosen for {count} variants")
    chosen = iter(numbers)
    return "".join(piece if isinstance(piece, str) else _allele(piece, next(chosen)) for piece in pieces)


def reference(text: str) -> str:
    """Returns the reference sequence of in-place text."""
    return choose(text, 0)


def alternate(text: str) -> str:
    """Returns the sequence with the first alternate allele of every variant."""
    return choose(text, 1)


def _allele(variant: Variant, number: int) -> str:
    if not 0 <= number < len(variant.alleles):
        raise PromptError(f"the variant {_shown(variant.alleles)} has no allele {number}")
    return variant.alleles[number]


def _variant(body: str) -> Variant:
    alleles, colon, numbers = body.partition(":")
    if "" in alleles.split("/"):
        raise PromptError(f"the variant [{body}] has an empty allele", hint=f"write {NO_BASES} for no bases")
    ref, *alts = ("" if allele == NO_BASES else allele for allele in alleles.split("/"))
    return Variant(ref, tuple(alts), tuple(map(_frequency, numbers.split(","))) if colon else ())


def _frequency(text: str) -> float:
    try:
        frequency = float(text)
    except ValueError:
        frequency = math.nan
    if not math.isfinite(frequency):
        raise PromptError(f"the frequency {text!r} is not a number")
    return frequency


def _stretch(text: str, start: int, end: int) -> list[str]:
    """Plain bases between two variants, as a list with one item, or an empty list if there are none."""
    stretch = text[start:end].upper()
    for index, letter in enumerate(stretch):
        if letter not in BASES:
            hint = "a variant is written [ref/alt], with - for no bases"
            raise PromptError(f"{text[start + index]!r} is not a base", where=_place(start + index), hint=hint)
    return [stretch] if stretch else []


def _check_bases(sequence: str) -> None:
    if BASES.issuperset(sequence):
        return
    wrong = next(letter for letter in sequence if letter not in BASES)
    raise PromptError(f"{wrong!r} is not a base", hint=f"bases are {''.join(sorted(BASES))}; no bases are written -")


def _joined(alleles: Iterable[str]) -> str:
    return "/".join(allele or NO_BASES for allele in alleles)


def _shown(alleles: Iterable[str], width: int = 20) -> str:
    """Alleles for an error message; long ones are shortened."""
    return _joined(allele if len(allele) <= width else f"{allele[:width]}…" for allele in alleles)


def _place(index: int) -> str:
    return f"character {index + 1} of the DNA text"

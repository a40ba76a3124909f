"""Cleaning of texts: one spelling for each, a key by which it is compared, and the reason if it can't be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mammal.tokenization.errors import MammalError

FAMILIES = {"SMILES": "molecule", "AA": "protein", "DNA": "dna"}
"""Alphabet of an entity -> how its texts are cleaned and compared."""

BASES = frozenset("ACGTN")
RESIDUES = frozenset("ABCDEFGHIKLMNOPQRSTUVWXYZ")
"""The 20 amino acids, U and O, and the ambiguous B, X, Z."""


@dataclass(frozen=True)
class Cleaned:
    """A text after cleaning.

    Attributes:
        text: the text as the corpus contains it; "" if it can't be used.
        key: what it is compared by with texts that are held out; for a molecule its connectivity (first block of the
            InChIKey), else the text without variants, in upper case.
        reason: why it can't be used; "" if it can.
    """

    text: str = ""
    key: str = ""
    reason: str = ""


def clean(texts: Sequence[str], family: str, shortest: int, longest: int) -> list[Cleaned]:
    """Cleans texts of one family.

    Args:
        texts: as read from a file.
        family: `molecule`, `protein` or `dna`.
        shortest: minimum number of characters of the cleaned text.
        longest: maximum number of characters of the cleaned text.
    """
    one = {"molecule": _molecule, "protein": _protein, "dna": _dna}[family]
    return [
        _sized(one(text.strip()) if text.strip() else Cleaned(reason="empty or damaged"), shortest, longest)
        for text in texts
    ]


def keys_of(texts: Sequence[str], family: str) -> list[str]:
    """Returns the key by which each text is compared with the texts of a corpus; "" for a text that can't be read.

    Args:
        texts: as read from a file.
        family: `molecule`, `protein` or `dna`.
    """
    return [one.key for one in clean(texts, family, 1, 1 << 30)]


def _sized(cleaned: Cleaned, shortest: int, longest: int) -> Cleaned:
    if cleaned.reason:
        return cleaned
    if len(cleaned.text) < shortest:
        return Cleaned(reason="too short")
    return Cleaned(reason="too long") if len(cleaned.text) > longest else cleaned


def _molecule(text: str) -> Cleaned:
    from mammal.tasks.molecules.chemistry import normalised_or_none
    from mammal.tasks.splits.held_out import connectivity

    normalised = normalised_or_none(text)
    if normalised is None:
        return Cleaned(reason="not a valid SMILES")
    key = connectivity(normalised)
    return Cleaned(normalised, key or normalised)


def _protein(text: str) -> Cleaned:
    sequence = text.rstrip("*").upper()
    if unknown := set(sequence) - RESIDUES:
        return Cleaned(reason=f"unknown residues {''.join(sorted(unknown))}")
    return Cleaned(sequence, sequence)


def _dna(text: str) -> Cleaned:
    from mammal.tasks.views.dna import located

    sequence = text.upper()
    try:
        reference = located(sequence).window if set(sequence) - BASES else sequence
    except MammalError as error:
        return Cleaned(reason=error.what)
    if set(reference) - BASES:
        return Cleaned(reason="unknown bases")
    return Cleaned(sequence, reference)

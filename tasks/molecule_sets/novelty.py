"""Which generated molecules a training set does not hold; it is read once, in parts, and never held as a whole.

Molecules are compared as strings. A training set in RDKit's canonical form (MOSES: all but 0.03 % of its rows) is taken
as it is written, which takes a second for a million rows; any other is canonicalised first, at some 7,000 rows a second
and core. Which of them it is, the first part of the set tells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mammal.tasks.molecule_sets.summary import EachOf
from mammal.tasks.molecules.chemistry import canonical_or_none

LOOKED_AT = 2_000
"""Strings that show whether a training set is written in canonical form."""
NEARLY_ALL = 0.99


@dataclass(frozen=True)
class Known:
    """What a training set holds of a set of molecules.

    Attributes:
        molecules: those that it holds.
        rows: strings that were read.
        as_written: they were compared as they are written, for they are in canonical form.
    """

    molecules: frozenset[str]
    rows: int
    as_written: bool


def known_molecules(canonical: Collection[str], training: Iterable[Sequence[str]], *, each_of: EachOf = map) -> Known:
    """Which of some molecules a training set holds.

    Args:
        canonical: canonical SMILES.
        training: parts of the set, as SMILES.
    """
    asked, known, rows = frozenset(canonical), set[str](), 0
    as_written: bool | None = None
    for part in training:
        if as_written is None:
            as_written = _is_canonical(part)
        rows += len(part)
        known.update(asked.intersection(part if as_written else each_of(canonical_or_none, part)))
    return Known(frozenset(known), rows, bool(as_written))


def _is_canonical(part: Sequence[str]) -> bool:
    """Whether the strings of a part are in canonical form, as far as every so many of them tell."""
    looked_at = part[:: max(1, len(part) // LOOKED_AT)]
    return sum(canonical_or_none(text) == text for text in looked_at) >= NEARLY_ALL * len(looked_at)

"""Search for generated molecules in a training set, which is read once in parts and never completely in memory.

Molecules are compared as strings. A training set in RDKit's canonical form (MOSES: all but 0.03 % of its rows) is used
as it is written, which takes a second for a million rows. Any other set is canonicalised first, at about 7,000 rows per
second and core. The first part of the set decides which case applies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mammal.tasks.molecule_sets.summary import EachOf
from mammal.tasks.molecules.chemistry import canonical_or_none

LOOKED_AT = 2_000
"""Number of strings that are checked to decide whether a training set is in canonical form."""
NEARLY_ALL = 0.99


@dataclass(frozen=True)
class Known:
    """The molecules of a set that are in a training set.

    Attributes:
        molecules: their canonical SMILES.
        rows: number of strings of the training set.
        as_written: whether its strings were compared as they are written, because they are in canonical form.
    """

    molecules: frozenset[str]
    rows: int
    as_written: bool


def known_molecules(canonical: Collection[str], training: Iterable[Sequence[str]], *, each_of: EachOf = map) -> Known:
    """Finds the molecules that are in a training set.

    Args:
        canonical: canonical SMILES of the molecules.
        training: SMILES of the training set, in parts.
        each_of: `map`, or a function that does the same with several processes.
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
    """Whether the strings of a part are in canonical form, judged by a subset at equal distances."""
    looked_at = part[:: max(1, len(part) // LOOKED_AT)]
    return sum(canonical_or_none(text) == text for text in looked_at) >= NEARLY_ALL * len(looked_at)

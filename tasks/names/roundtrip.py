"""Pairs of a structure and its name, and the comparison of the structure with the one that OPSIN reads in the name.

exact        the name gives the same molecule: equal normalised isomeric SMILES
doubtful     the same molecule, but OPSIN gives a warning: the name is ambiguous, or of a racemate
stereo       the same except for stereo marks
isotope      the same except for isotopes, and perhaps stereo marks
tautomer     the same except for the positions of hydrogens (equal standard InChI)
charge       the same except for the number of protons (standard InChI equal except for protons)
other        the name gives another molecule
unread       OPSIN can't read the name
unnamed      there is no name
unverified   the name was not read back (`verify` is off)
invalid      the structure is not a molecule
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from mammal.tasks.molecules.chemistry import (
    canonical_or_none,
    flat_or_none,
    inchikey_or_none,
    normalised_or_none,
    parse_smiles,
    why_invalid,
)
from mammal.tasks.names.naming import Naming, name_molecule
from mammal.tasks.names.opsin import OpsinAnswer
from mammal.tasks.names.structures import in_name_order, read_structures

Outcome = Literal[
    "exact",
    "doubtful",
    "stereo",
    "isotope",
    "tautomer",
    "charge",
    "other",
    "unread",
    "unnamed",
    "unverified",
    "invalid",
]

EachOf = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""`map`, or a function that does the same with several processes."""


@dataclass(frozen=True)
class Pair:
    """A structure with its name.

    Attributes:
        outcome: one of the outcomes at the top of this file.
        canonical: canonical isomeric SMILES; None if `invalid`.
        name: the generated name, or the given name in the spelling that was read.
        smiles_by_name: SMILES with atoms in the order of the name, so that a sequence model can process both from left
            to right; only if `exact`.
        reason: reason of another outcome; None if `exact` or `unverified`.
    """

    outcome: Outcome
    canonical: str | None = None
    name: str | None = None
    smiles_by_name: str | None = None
    reason: str | None = None


def make_pairs(
    smiles: Sequence[str], names: Sequence[str] | None = None, *, verify: bool = True, each_of: EachOf = map
) -> list[Pair]:
    """Returns a pair for each structure, in order; equal molecules are named once.

    Args:
        smiles: the structures.
        names: given names, "" for a missing one; None: names are generated with openclatura.
        verify: read the names back (needs Java); otherwise every name is `unverified`.
        each_of: `map`, or a function that does the same with several processes.

    Raises:
        DataError: openclatura, py2opsin or Java is missing.
    """
    canonical = list(each_of(canonical_or_none, smiles))
    if names is None:
        distinct = list(dict.fromkeys(text for text in canonical if text is not None))
        made = dict(zip(distinct, each_of(name_molecule, distinct), strict=True))
        namings = [Naming(None) if text is None else made[text] for text in canonical]
    else:
        namings = [Naming(name) if name else Naming(None, "empty name") for name in names]
    readings = _read_back(namings, restore_case=names is not None) if verify else {}
    compared = [
        (text, whole, naming, *readings.get(naming.name or "", (naming.name, None)))
        for text, whole, naming in zip(smiles, canonical, namings, strict=True)
    ]
    return list(each_of(_judged, compared))


def compare_molecules(first: str, second: str) -> Outcome:
    """Compares two valid SMILES: returns exact, stereo, isotope, tautomer, charge or other."""
    if normalised_or_none(first) == normalised_or_none(second):
        return "exact"
    if flat_or_none(first) == flat_or_none(second):
        return "stereo" if _without_stereo(first) == _without_stereo(second) else "isotope"
    keys = inchikey_or_none(first), inchikey_or_none(second)
    if keys[0] is None or keys[1] is None or keys[0][:-1] != keys[1][:-1]:
        return "other"
    return "tautomer" if keys[0] == keys[1] else "charge"  # the last letter counts protons


def _read_back(namings: Sequence[Naming], *, restore_case: bool) -> dict[str, tuple[str, OpsinAnswer]]:
    names = list(dict.fromkeys(naming.name for naming in namings if naming.name))
    return dict(zip(names, read_structures(names, restore_case=restore_case), strict=True))


def _judged(one: tuple[str, str | None, Naming, str | None, OpsinAnswer | None]) -> Pair:
    smiles, canonical, naming, spelling, reading = one
    if canonical is None:
        return Pair("invalid", reason=f"invalid SMILES: {why_invalid(smiles)}" if smiles else "empty cell")
    ended = partial(Pair, canonical=canonical, name=spelling)
    if spelling is None:
        return ended("unnamed", reason=naming.reason)
    if reading is None:
        return ended("unverified")
    read = None if reading.smiles is None else canonical_or_none(reading.smiles)
    if reading.smiles is None or read is None:
        return ended("unread", reason=reading.reason or f"RDKit can't read {reading.smiles}")
    outcome = compare_molecules(canonical, read)
    if outcome == "exact" and reading.warning:
        return ended("doubtful", reason=reading.warning)
    if outcome == "exact":
        return ended("exact", smiles_by_name=in_name_order(reading.smiles))
    return ended(outcome, reason=f"the name gives {read}")


def _without_stereo(smiles: str) -> str:
    """Normalised SMILES without stereo marks; isotopes stay."""
    from rdkit import Chem

    molecule = parse_smiles(normalised_or_none(smiles) or smiles)
    Chem.RemoveStereochemistry(molecule)
    return str(Chem.MolToSmiles(molecule))

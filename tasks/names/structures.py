"""Structures of names as SMILES: names as they stand, then, where OPSIN refuses them, with their case restored."""

from __future__ import annotations

from collections.abc import Sequence

from mammal.tasks.chemistry import canonical_or_none, parse
from mammal.tasks.names.case import restored
from mammal.tasks.names.opsin import Reading, read_names


def structure_of(
    names: str | Sequence[str], *, by_name: bool = False, restore_case: bool = True, ignore_stereo: bool = False
) -> list[str | None]:
    """SMILES of each name, in order; None where a name can't be read as a molecule.

    Many names at once cost little more than one: Java starts once, or twice where some need their case restored.

    Args:
        names: IUPAC names; one alone counts as a list of one.
        by_name: atoms in the order in which the name mentions them, in place of canonical SMILES.
        restore_case: read names that lost their capitals, or have `;` between components, as they were meant.
        ignore_stereo: leave out stereo descriptors that OPSIN can't place, in place of refusing the name.

    Raises:
        DataError: py2opsin or Java is missing.
    """
    given = [names] if isinstance(names, str) else names
    readings = read_structures(given, restore_case=restore_case, ignore_stereo=ignore_stereo)
    write = in_name_order if by_name else canonical_or_none
    return [None if reading.smiles is None else write(reading.smiles) for _, reading in readings]


def read_structures(
    names: Sequence[str], *, restore_case: bool = True, ignore_stereo: bool = False
) -> list[tuple[str, Reading]]:
    """For each name the spelling that was read (or the name itself) and what OPSIN makes of it."""
    readings = list(zip(names, read_names(names, ignore_stereo=ignore_stereo), strict=True))
    spelled = {name: restored(name) for name, reading in readings if reading.smiles is None} if restore_case else {}
    again = sorted({mended for name, mended in spelled.items() if mended != name})
    mended = dict(zip(again, read_names(again, ignore_stereo=ignore_stereo), strict=True))
    return [
        (spelled[name], mended[spelled[name]])
        if spelled.get(name, name) in mended and mended[spelled[name]].smiles is not None
        else (name, reading)
        for name, reading in readings
    ]


def in_name_order(smiles: str) -> str | None:
    """OPSIN's SMILES in aromatic form, atoms still in its order; None where RDKit can't read it as the same molecule.

    `C(C)OC1=CC=CC=C1` -> `C(C)Oc1ccccc1`
    """
    from rdkit import Chem

    molecule = parse(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    written = str(Chem.MolToSmiles(molecule, canonical=False))
    return written if canonical_or_none(written) == canonical_or_none(smiles) else None

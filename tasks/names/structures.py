"""Structures of names as SMILES: names as they stand, and with the capitals that they lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mammal.tasks.molecules.chemistry import canonical_or_none, parse
from mammal.tasks.names.case import components, restored
from mammal.tasks.names.opsin import OpsinAnswer, read_names


def structure_of(
    names: str | Sequence[str],
    *,
    by_name: bool = False,
    restore_case: bool = True,
    ignore_stereo: bool = False,
    keep_doubtful: bool = False,
) -> list[str | None]:
    """SMILES of each name, in order; None where a name can't be read as a molecule, or not without doubt.

    Many names at once cost little more than one: Java starts once, or twice where some need their case restored.

    Args:
        names: IUPAC names; one alone counts as a list of one.
        by_name: atoms in the order in which the name mentions them, in place of canonical SMILES.
        restore_case: read names that lost their capitals, or have `;` between components, as they were meant.
        ignore_stereo: leave out stereo descriptors that OPSIN can't place, in place of refusing the name.
        keep_doubtful: also return structures that come with a warning (`read_structures` gives it): of ambiguous
            names, of racemates, of parts that may be synonyms.

    Raises:
        DataError: py2opsin or Java is missing.
    """
    given = [names] if isinstance(names, str) else names
    readings = read_structures(given, restore_case=restore_case, ignore_stereo=ignore_stereo)
    write = in_name_order if by_name else canonical_or_none
    return [
        None if reading.smiles is None or (reading.warning and not keep_doubtful) else write(reading.smiles)
        for _, reading in readings
    ]


def read_structures(
    names: Sequence[str], *, restore_case: bool = True, ignore_stereo: bool = False
) -> list[tuple[str, OpsinAnswer]]:
    """For each name the spelling that was read (or the name itself) and what OPSIN makes of it, doubts included.

    A name without capitals is read with them first, for `n-propylethanamide` as it stands is pentanamide, but for `o-`
    and `p-`, which are ortho and para wherever OPSIN can read them so; any other name, as it stands first. Where `;`
    parts a name into components that make a neutral whole, it is read component by component, for OPSIN joins some
    that belong apart (an acid and its chloride salt to an acyl chloride).
    """

    def read(texts: Iterable[str]) -> dict[str, OpsinAnswer]:
        wanted = list(dict.fromkeys(texts))
        return dict(zip(wanted, read_names(wanted, ignore_stereo=ignore_stereo), strict=True))

    spellings = {name: _spellings(name) if restore_case else [name] for name in names}
    parts = {name: _parts(name) for name in spellings if restore_case and ";" in name}
    known = read(texts[0] for texts in spellings.values())
    others = [text for texts in spellings.values() if known[texts[0]].smiles is None for text in texts[1:]]
    others += [part for several in parts.values() for pieces in several for part in pieces]
    known |= read(text for text in others if text not in known)
    return [_best(name, spellings[name], parts.get(name, []), known) for name in names]


def _spellings(name: str) -> list[str]:
    """In the order in which they are tried."""
    lost = name == name.lower()
    found = [restored(name, positions=True), restored(name), name] if lost else [name, restored(name)]
    return list(dict.fromkeys(found))


def _parts(name: str) -> list[list[str]]:
    """The components in each spelling, in the order in which these are tried."""
    return [components(name, positions=True), components(name)]


def _best(
    name: str, spellings: Sequence[str], parts: Sequence[Sequence[str]], known: Mapping[str, OpsinAnswer]
) -> tuple[str, OpsinAnswer]:
    whole = next((text for text in spellings if known[text].smiles is not None), None)
    for several in parts:
        pieces = [known[part] for part in several if known[part].smiles]
        if len(several) > 1 and len(pieces) == len(several):
            apart = ".".join(piece.smiles or "" for piece in pieces)
            if whole is None or _is_neutral(apart):
                return ";".join(several), OpsinAnswer(apart, warning=_doubts_of_parts(pieces))
            break
    return (name, known[name]) if whole is None else (whole, known[whole])


def _doubts_of_parts(pieces: Sequence[OpsinAnswer]) -> str | None:
    """Why components may not be what `;` parts: some are doubtful, or they may be synonyms of one molecule."""
    doubts = [piece.warning for piece in pieces if piece.warning]
    if synonyms := _synonyms([piece.smiles or "" for piece in pieces]):
        doubts.append(synonyms)
    return "; ".join(dict.fromkeys(doubts)) or None


def _synonyms(pieces: Sequence[str]) -> str | None:
    """What speaks for several names of one molecule, rather than for its components.

    Ions that come several times belong to a salt. A neutral molecule that is named twice hardly ever does: of 324 such
    readings of the synonyms in `chemicals` 1.5, 319 disagree with the structure of the package.
    """
    from rdkit.Chem.rdMolDescriptors import CalcMolFormula

    neutral = [piece for piece in pieces if _is_neutral(piece)]
    if len({canonical_or_none(piece) for piece in neutral}) < len(neutral):
        return "parts with one structure: synonyms, not components?"
    molecules = [molecule for piece in neutral if (molecule := parse(piece)) is not None]
    carbon = [molecule for molecule in molecules if any(atom.GetAtomicNum() == 6 for atom in molecule.GetAtoms())]
    if len({CalcMolFormula(molecule) for molecule in carbon}) < len(carbon):
        return "parts with one formula: synonyms, not components?"
    return None


def _is_neutral(smiles: str) -> bool:
    from rdkit import Chem

    molecule = parse(smiles)
    return molecule is not None and Chem.GetFormalCharge(molecule) == 0


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

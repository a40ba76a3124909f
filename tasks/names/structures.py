"""Structures of names as SMILES, also of names in lower case, whose capitals are restored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mammal.tasks.molecules.chemistry import canonical_or_none, parse_smiles
from mammal.tasks.names.case import components, restored
from mammal.tasks.names.doubts import doubts_about
from mammal.tasks.names.opsin import OpsinAnswer, doubted, read_names


def structure_of(
    names: str | Sequence[str],
    *,
    by_name: bool = False,
    restore_case: bool = True,
    ignore_stereo: bool = False,
    keep_doubtful: bool = False,
) -> list[str | None]:
    """Returns the SMILES of each name, in order; None if a name can't be read, or not without doubt.

    Many names take little more time than one: Java is started once, or twice if some names need other spellings.

    Args:
        names: one or several IUPAC names.
        by_name: return SMILES with atoms in the order of the name, instead of canonical SMILES.
        restore_case: correctly read names in lower case, or with `;` between components.
        ignore_stereo: ignore stereo descriptors that OPSIN can't interpret, instead of rejecting the name.
        keep_doubtful: also return structures with a warning (which `read_structures` returns): of ambiguous names, of
            racemates, of parts that may be synonyms.

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
    """Reads the structures of names, with the doubts about them.

    A name without capitals is first read with restored capitals, because `n-propylethanamide` as written is read as
    pentanamide. Its `o-` and `p-` are read as ortho and para if OPSIN can read the name that way. Any other name is
    first read as written. If `;` divides a name into components that are neutral together, the components are read
    separately, because OPSIN would combine some of them (an acid and its chloride salt to an acyl chloride).

    Args:
        names: IUPAC names.
        restore_case: also try restored capitals, and separate components.
        ignore_stereo: ignore stereo descriptors that OPSIN can't interpret, instead of rejecting the name.

    Returns:
        For each name, the spelling that was read (or the name itself) and OPSIN's result.
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
    """Spellings of a name, in the order in which they are tried."""
    lost = name == name.lower()
    found = [restored(name, positions=True), restored(name), name] if lost else [name, restored(name)]
    return list(dict.fromkeys(found))


def _parts(name: str) -> list[list[str]]:
    """Components of a name for each spelling, in the order in which these are tried."""
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
                reading = OpsinAnswer(apart, warning=_doubts_of_parts(pieces))
                return ";".join(several), doubted(reading, *doubts_about(name, apart))
            break
    return (name, known[name]) if whole is None else (whole, known[whole])


def _doubts_of_parts(pieces: Sequence[OpsinAnswer]) -> str | None:
    """Doubts about a name read by components: some are doubtful, or the parts may be synonyms of one molecule."""
    doubts = [piece.warning for piece in pieces if piece.warning]
    if synonyms := _synonyms([piece.smiles or "" for piece in pieces]):
        doubts.append(synonyms)
    return "; ".join(dict.fromkeys(doubts)) or None


def _synonyms(pieces: Sequence[str]) -> str | None:
    """The reason why parts are probably several names of one molecule and not its components; None if they are not.

    Ions that occur several times belong to a salt. A neutral molecule that occurs twice rarely does: of 324 such
    results for the synonyms in `chemicals` 1.5, 319 disagree with the structure in the package.
    """
    from rdkit.Chem.rdMolDescriptors import CalcMolFormula

    neutral = [piece for piece in pieces if _is_neutral(piece)]
    if len({canonical_or_none(piece) for piece in neutral}) < len(neutral):
        return "parts with one structure: synonyms, not components?"
    molecules = [molecule for piece in neutral if (molecule := parse_smiles(piece)) is not None]
    carbon = [molecule for molecule in molecules if any(atom.GetAtomicNum() == 6 for atom in molecule.GetAtoms())]
    if len({CalcMolFormula(molecule) for molecule in carbon}) < len(carbon):
        return "parts with one formula: synonyms, not components?"
    return None


def _is_neutral(smiles: str) -> bool:
    from rdkit import Chem

    molecule = parse_smiles(smiles)
    return molecule is not None and Chem.GetFormalCharge(molecule) == 0


def in_name_order(smiles: str) -> str | None:
    """Returns OPSIN's SMILES in aromatic form, in the same order of atoms; None if RDKit reads another molecule.

    `C(C)OC1=CC=CC=C1` -> `C(C)Oc1ccccc1`
    """
    from rdkit import Chem

    molecule = parse_smiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    written = str(Chem.MolToSmiles(molecule, canonical=False))
    return written if canonical_or_none(written) == canonical_or_none(smiles) else None

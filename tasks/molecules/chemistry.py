"""Functions on molecules with RDKit: validity, canonical form, scaffold, fingerprints.

RDKit is imported when first used, and its log is silenced; its message about an invalid SMILES is in the raised error.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mammal.tasks.errors import DataError
from mammal.tasks.limits import LONGEST_SMILES, too_long
from mammal.tasks.molecules.normalisation import forget_normalised, normalised
from mammal.tasks.molecules.policy import NORMALISED, Policy, Standard, Standardised, standard_form

if TYPE_CHECKING:
    import numpy as np

LAID_OUT = 500
"""Largest number of atoms of a molecule that gets a layout."""

_BLANK = re.compile(r"\s")

_MARKS = re.compile(r"[@/\\]|\[\d")
"""Signs of stereo (`@`, `/`, `\\`) and isotopes (`[13C]`) in a canonical SMILES."""


def standardise(smiles: str, how: Standard, column: str = "smiles") -> str:
    """Returns a SMILES in the form that the model reads.

    Args:
        smiles: the SMILES.
        how: `off` returns it unchanged; `check` returns it unchanged if RDKit can parse it; `canonical` returns RDKit's
            canonical isomeric SMILES; `normalised` returns that of the form without separated charges
            (`mammal.tasks.molecules.normalisation`). These four do not change salts, acids, bases and tautomers. A
            `Policy` names the steps that do.
        column: name of the column, for the error message.

    Raises:
        DataError: RDKit can't parse it; the message contains RDKit's reason.
    """
    if how == "off":
        return smiles
    canonical = _canonical(smiles)
    if canonical is None:
        raise DataError(f"invalid SMILES {_shortened(smiles)!r}: {why_invalid(smiles)}", where=f"column {column}")
    if how == "normalised":
        return normalised(canonical)
    if isinstance(how, Policy):
        return standard_form(canonical, how).text
    return canonical if how == "canonical" else smiles


def standardised(smiles: str, how: Standard, column: str = "smiles") -> Standardised:
    """Returns a SMILES in the form that the model reads, and what of the molecule differs from the given one.

    Args:
        smiles: the SMILES.
        how: as for `standardise`.
        column: name of the column, for the error message.

    Raises:
        DataError: as for `standardise`.
    """
    text = standardise(smiles, how, column)
    canonical = _canonical(smiles) if how == "normalised" or isinstance(how, Policy) else None
    if canonical is None:
        return Standardised(text)
    if isinstance(how, Policy):
        return standard_form(canonical, how)
    return Standardised(text, NORMALISED if text != canonical else "")


def canonical_or_none(smiles: str) -> str | None:
    """Returns the canonical SMILES, None if RDKit can't parse it or it has no atom."""
    return _canonical(smiles) or None


def normalised_or_none(smiles: str) -> str | None:
    """Returns the canonical SMILES of the normalised form, by which molecules are compared; None if not valid."""
    canonical = _canonical(smiles)
    return normalised(canonical) if canonical else None


def flat_or_none(smiles: str) -> str | None:
    """Returns the normalised SMILES without stereo and isotopes, equal for all stereoisomers; None if not valid."""
    from rdkit import Chem

    canonical = normalised_or_none(smiles)
    if not canonical or not _MARKS.search(canonical):
        return canonical or None
    bare = Chem.MolToSmiles(parse_smiles(canonical), isomericSmiles=False)
    return _canonical(bare)  # once more: deuterium was an explicit atom and has become hydrogen, which is implicit


def inchikey_or_none(smiles: str) -> str | None:
    """Returns the standard InChIKey, None for text that is not a molecule."""
    from rdkit import Chem

    molecule = parse_smiles(smiles)
    return Chem.MolToInchiKey(molecule) or None if molecule is not None else None


def parse_smiles(smiles: str) -> Any | None:
    """Returns the RDKit molecule, None if the SMILES can't be parsed. Writes nothing to the terminal.

    Text with a blank inside is not valid here: RDKit would read the text after the blank as the molecule's name. Text
    longer than `LONGEST_SMILES` is not given to RDKit, which can end the process.
    """
    from rdkit import Chem, rdBase

    if len(smiles) > LONGEST_SMILES or _BLANK.search(smiles):
        return None
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(smiles)


def why_invalid(smiles: str) -> str:
    """Returns RDKit's reason why a SMILES is not valid, in one line."""
    from rdkit import Chem, rdBase

    if reason := too_long("it", len(smiles), LONGEST_SMILES):
        return reason
    if _BLANK.search(smiles):
        return "it holds a blank"
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles, sanitize=False)
        problems = [] if molecule is None else [p.Message() for p in Chem.DetectChemistryProblems(molecule)]
    return "; ".join(problems) if problems else _syntax_error(smiles)


def parse_block(block: str) -> tuple[Any | None, str | None]:
    """The RDKit molecule of a mol block (V2000 or V3000), or None and RDKit's reason, in one line."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = Chem.MolFromMolBlock(block)
    if molecule is not None:
        return molecule, None
    lines = [line for line in _log_of(lambda chem: chem.MolFromMolBlock(block)).splitlines() if line.startswith("[")]
    return None, re.sub(r"^\[[\d:]+\] ", "", lines[-1]) if lines else "RDKit can't parse it"


def mol_block(smiles: str, name: str = "") -> str | None:
    """Returns the mol block of a molecule with a layout in two dimensions; None if RDKit can't parse the SMILES.

    Args:
        smiles: the molecule. If it has more than `LAID_OUT` atoms, all coordinates are zero, because a layout would
            take minutes.
        name: the first line of the block.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem.rdDepictor import Compute2DCoords

    molecule = parse_smiles(smiles)
    if molecule is None:
        return None
    if molecule.GetNumAtoms() <= LAID_OUT:
        Compute2DCoords(molecule)
    molecule.SetProp("_Name", name)
    with rdBase.BlockLogs():
        return str(Chem.MolToMolBlock(molecule))


def as_smiles(molecule: Any) -> str:
    """Returns the canonical SMILES of an RDKit molecule, with stereo centres and isotopes."""
    from rdkit import Chem

    return Chem.MolToSmiles(molecule)


def has_open_stereo(molecule: Any) -> bool:
    """Whether centres of an RDKit molecule are racemic or relative (enhanced stereo), which a SMILES can't express."""
    from rdkit import Chem

    return any(group.GetGroupType() != Chem.StereoGroupType.STEREO_ABSOLUTE for group in molecule.GetStereoGroups())


def murcko_scaffold(smiles: str) -> str | None:
    """Returns the Bemis-Murcko scaffold (doi 10.1021/jm9602928) without stereo, "" if acyclic, None if invalid.

    It is the scaffold of the normalised form, so that both spellings of a cyclic sulfoxide have the same one.
    """
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    molecule = parse_smiles(smiles)
    if molecule is None:
        return None
    canonical = _canonical(smiles)
    if canonical and (changed := normalised(canonical)) != canonical:
        molecule = parse_smiles(changed)
    return MurckoScaffoldSmiles(mol=molecule, includeChirality=False)


def morgan_counts(smiles: Sequence[str], radius: int = 2, bits: int = 2048) -> np.ndarray:
    """Returns Morgan count fingerprints (Rogers & Hahn 2010; ECFP4 at radius 2), float32 [N, bits]; zeros if invalid.

    Args:
        smiles: N molecules.
        radius: maximum radius of environments, in bonds.
        bits: number of entries to which the counts are folded.
    """
    import numpy as np
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
    counts = np.zeros((len(smiles), bits), dtype=np.float32)
    for row, text in enumerate(smiles):
        molecule = parse_smiles(text)
        if molecule is not None:
            counts[row] = generator.GetCountFingerprintAsNumPy(molecule)
    return counts


def molecule_just_read(smiles: str) -> Any | None:
    """Returns the RDKit molecule as `parse_smiles`, without parsing it again if its canonical form was computed last.

    Args:
        smiles: the SMILES.
    """
    text, molecule = _last[0]
    return molecule if text == smiles else parse_smiles(smiles)


_last: list[tuple[str | None, Any]] = [(None, None)]
"""The SMILES of which `_canonical` computed the canonical form last, and its molecule. More molecules are not kept: one
takes about ten thousand bytes."""


_REMEMBERED = 1 << 19
"""Number of molecules whose canonical form is kept. A data set is read several times in the same order: to find its
splits, to write its prompts, and by each task of a mixture. A memory that is smaller than the set would be of no use at
all then. The reactions of USPTO have 346,000 molecules, which take about 110 MB."""

_LONGEST_REMEMBERED = 400
"""Longer SMILES are not kept, so that the memory stays below 600 MB."""


def _canonical(smiles: str) -> str | None:
    return _written(smiles) if len(smiles) > _LONGEST_REMEMBERED else _remembered(smiles)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(smiles: str) -> str | None:
    return _written(smiles)


def _written(smiles: str) -> str | None:
    from rdkit import Chem

    molecule = parse_smiles(smiles)
    _last[0] = (smiles, molecule)
    return None if molecule is None else Chem.MolToSmiles(molecule)


def forget_molecules() -> None:
    """Empties the memory of molecules that were read, so that a process that reads any number of them stays small."""
    _remembered.cache_clear()
    forget_normalised()
    standard_form.cache_clear()


def _syntax_error(smiles: str) -> str:
    """The parser's message and position for a SMILES with a syntax error."""
    heard = _log_of(lambda chem: chem.MolFromSmiles(smiles))
    reason = re.search(r"Error: (.+?)(?: while parsing| for input|$)", heard, re.MULTILINE)
    place = re.search(r"around position (\d+)", heard)
    text = reason.group(1) if reason else "RDKit can't parse it"
    return f"{text} at character {place.group(1)}" if place else text


def _log_of(work: Callable[[Any], object]) -> str:
    """The messages that RDKit logs during `work(rdkit.Chem)`; it reports reasons only in its log."""
    from rdkit import Chem, rdBase

    heard = io.StringIO()
    listener, logger = logging.StreamHandler(heard), logging.getLogger("rdkit")
    before, propagate = list(logger.handlers), logger.propagate
    logger.handlers, logger.propagate = [listener], False
    rdBase.LogToPythonLogger()
    try:
        with suppress(SystemError, UnicodeDecodeError):  # a message that cites a part of a character is lost
            work(Chem)
    finally:
        logger.handlers, logger.propagate = before, propagate
        rdBase.LogToCppStreams()
    return heard.getvalue()


def _shortened(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"

"""Names of structures by openclatura, which applies rules and needs no model.

A molecule takes about 10 ms on one core. Caged and repetitive molecules can take minutes, so there is a limit for each.
It is a limit of processor time, not of wall-clock time, so that results are the same on a busy machine.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError
from mammal.tasks.molecules.chemistry import normalised_or_none, parse_smiles, why_invalid
from mammal.tasks.names.metals import ALKALI_AND_EARTH, METALS

if TYPE_CHECKING:
    from rdkit.Chem import Mol

MAX_ATOMS = 150
"""Maximum number of heavy atoms of a molecule that is named. Names of larger ones are of no use, and take seconds."""
SECONDS = 20.0
"""Maximum processor time for one molecule, in seconds."""

_LOST = {
    "a charge on carbon": "[#6+,#6-;!$([C-]#*)]",
    "a carbanion of an alkyne": "[C-]#C",
    "a proton on oxygen or phosphorus": "[OH+,OH2+,OH3+,PH+,PH2+,PH3+,PH4+]",
    "a charge on silicon or iodine": "[Si-,Si+,I+,I-;!$([I-;X0])]",
    "an acid that lost some of its protons": "[P,S,B,As,Se,$([C](=O)([#8;X1,X2])[#8;X1,X2])]([OX2H])[OX1-]",
    "a metal bound to oxygen": f"[{','.join(ALKALI_AND_EARTH)}]-[#8]",
}
"""What openclatura 0.4.3 leaves out of a name without a word, as SMARTS: `[CH3+]` is called methane, hydrogen phosphate
phosphoric acid, and `CC(=O)O[Na]` is named without its metal. Found by reading its names back with OPSIN 2.9."""


@dataclass(frozen=True)
class Naming:
    """The name of one molecule, or the reason why it has none."""

    name: str | None
    reason: str | None = None


def name_of(smiles: str | Sequence[str]) -> list[str | None]:
    """Returns the IUPAC name of each molecule, in order; None for invalid SMILES, and if naming fails.

    Args:
        smiles: one or several SMILES. The name does not depend on the order of atoms.

    Raises:
        DataError: openclatura is not installed.
    """
    check_installed()
    return [name_molecule(text).name for text in ([smiles] if isinstance(smiles, str) else smiles)]


def name_molecule(smiles: str) -> Naming:
    """Returns the name of one molecule's normalised form; an error inside openclatura becomes a reason."""
    canonical = normalised_or_none(smiles)
    molecule = None if canonical is None else parse_smiles(canonical)
    if canonical is None or molecule is None:
        return Naming(None, f"invalid SMILES: {why_invalid(smiles)}" if smiles else "empty SMILES")
    atoms = molecule.GetNumHeavyAtoms()
    if atoms > MAX_ATOMS:
        return Naming(None, f"{atoms} atoms, more than {MAX_ATOMS}")
    if lost := _lost(molecule):
        return Naming(None, f"{lost}, which openclatura leaves out of names")
    from openclatura import name_smiles

    try:
        with _limited(SECONDS):
            name = name_smiles(canonical)
    except _OutOfTimeError:
        return Naming(None, f"naming takes more than {SECONDS:.0f} s")
    except (Exception, RecursionError) as error:  # openclatura raises many types of errors, such as KeyError
        return Naming(None, f"{type(error).__name__}: {error}")
    return Naming(name) if name else Naming(None, "openclatura has no name for it")


def _lost(molecule: Mol) -> str | None:
    """What of a molecule its name would be without; None: nothing that is known."""
    atoms = list(molecule.GetAtoms())
    if any(atom.GetIsotope() for atom in atoms):
        return "an isotope"
    # RDKit counts free valences of metals as radical electrons.
    if any(atom.GetNumRadicalElectrons() for atom in atoms if atom.GetSymbol() not in METALS):
        return "a radical"
    return next((what for what, pattern in _patterns().items() if molecule.HasSubstructMatch(pattern)), None)


@cache
def _patterns() -> dict[str, Mol]:
    from rdkit import Chem

    return {what: Chem.MolFromSmarts(smarts) for what, smarts in _LOST.items()}


def check_installed() -> None:
    """Raises DataError if openclatura is not installed."""
    if find_spec("openclatura") is None:
        raise DataError("naming molecules needs the package openclatura", hint="pip install 'mammal[iupac]'")


class _OutOfTimeError(BaseException):
    """Raised at the time limit; not an Exception, so that `except Exception` in the interrupted code ignores it."""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Interrupts the block after this processor time; no limit outside the main thread, which gets no signals."""
    if not hasattr(signal, "SIGVTALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise _OutOfTimeError

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)

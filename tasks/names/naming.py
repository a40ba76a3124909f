"""Structures to names by openclatura, which names by rules and loads no model.

About 10 ms a molecule on one core; caged and repetitive molecules can take minutes, so each has a limit of processor
time, which unlike a limit by the clock gives the same outcome on a busy machine.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from types import FrameType

from mammal.tasks.errors import DataError
from mammal.tasks.molecules.chemistry import normalised_or_none, parse, why_invalid

MAX_ATOMS = 150
"""Heavy atoms of the largest molecule that is named. Larger ones have names that nobody reads, and take seconds."""
SECONDS = 20.0
"""Processor time that one molecule may take."""


@dataclass(frozen=True)
class Naming:
    """The name of one molecule, or why it has none."""

    name: str | None
    reason: str | None = None


def name_of(smiles: str | Sequence[str]) -> list[str | None]:
    """IUPAC name of each molecule, in order; None for text that is no molecule, and for what can't be named.

    Args:
        smiles: one alone counts as a list of one. Its order of atoms changes nothing.

    Raises:
        DataError: openclatura is not installed.
    """
    check_installed()
    return [name_molecule(text).name for text in ([smiles] if isinstance(smiles, str) else smiles)]


def name_molecule(smiles: str) -> Naming:
    """The name of one molecule's normalised form; whatever goes wrong inside openclatura is a reason, not an error."""
    canonical = normalised_or_none(smiles)
    molecule = None if canonical is None else parse(canonical)
    if canonical is None or molecule is None:
        return Naming(None, f"invalid SMILES: {why_invalid(smiles)}" if smiles else "empty SMILES")
    atoms = molecule.GetNumHeavyAtoms()
    if atoms > MAX_ATOMS:
        return Naming(None, f"{atoms} atoms, more than {MAX_ATOMS}")
    from openclatura import name_smiles

    try:
        with _limited(SECONDS):
            name = name_smiles(canonical)
    except _OutOfTimeError:
        return Naming(None, f"naming takes more than {SECONDS:.0f} s")
    except (Exception, RecursionError) as error:  # openclatura raises anything from KeyError to its own
        return Naming(None, f"{type(error).__name__}: {error}")
    return Naming(name) if name else Naming(None, "openclatura has no name for it")


def check_installed() -> None:
    """Raises DataError where openclatura is missing."""
    if find_spec("openclatura") is None:
        raise DataError("naming molecules needs the package openclatura", hint="pip install 'mammal[iupac]'")


class _OutOfTimeError(BaseException):
    """Passes by the `except Exception` of what it interrupts."""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Ends the block after so much processor time; without limit off the main thread, where no signal arrives."""
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

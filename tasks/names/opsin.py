"""Names to structures through OPSIN (Lowe et al. 2011, doi 10.1021/ci100384d), the JAR that py2opsin ships.

One start of Java reads any number of names. The JAR is asked on its standard input rather than through py2opsin's
function: that writes a file in the working folder, in the encoding of the locale, and tells all failures in one
warning; here each name that can't be read has its own reason.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mammal.tasks.errors import DataError

MAX_LENGTH = 1_000
"""Characters of the longest name that is asked; deep nesting costs OPSIN time that grows without bound."""

_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""One garbage collector thread and the quick compiler alone: a third of the processor time on a few thousand names."""
_PROMPT = "Run the jar using"
"""How the line begins that OPSIN writes for a person at the keyboard."""
_SECONDS, _SECONDS_PER_NAME = 120.0, 0.1
"""Patience with one batch, generous enough for a machine that does much else: a name takes about 0.3 ms."""


@dataclass(frozen=True)
class OpsinAnswer:
    """What OPSIN makes of one name.

    Attributes:
        smiles: as OPSIN writes it: Kekulé form, atoms in the order in which the name mentions them. None: unread.
        reason: why there is none.
    """

    smiles: str | None
    reason: str | None = None


def read_names(names: Sequence[str], *, ignore_stereo: bool = False, allow_radicals: bool = False) -> list[OpsinAnswer]:
    """A reading for each name, in order, with one start of Java.

    Blanks and line breaks inside a name count as one blank, so no name can shift the answers of others. A name that
    ends or stalls Java is unread, and those after it are read by another start.

    Args:
        ignore_stereo: leave out stereo descriptors that OPSIN can't place, in place of refusing the name.
        allow_radicals: also read substituents, such as `ethyl`.

    Raises:
        DataError: py2opsin or Java is missing, or Java can't run the JAR.
    """
    texts = [" ".join(name.split()) for name in names]
    readings = [_unasked(text) for text in texts]
    waiting = [number for number, reading in enumerate(readings) if reading is None]
    flags = ["-s"] * ignore_stereo + ["-r"] * allow_radicals
    command = [find_java(), *_JVM, "-jar", str(find_jar()), "-osmi", "-n", *flags] if waiting else []
    while waiting:
        found = _ask(command, [texts[number] for number in waiting])
        for number, reading in zip(waiting, found, strict=False):
            readings[number] = reading
        waiting = waiting[len(found) :]
    return [reading for reading in readings if reading is not None]


def missing() -> DataError | None:
    """Why names can't be read here, None where they can."""
    try:
        find_jar(), find_java()
    except DataError as error:
        return error
    return None


def find_java() -> str:
    """Path of a Java that starts.

    Raises:
        DataError: there is none.
    """
    path = shutil.which("java")
    if path is None or not _starts(path):
        hint = "install a Java of version 8 or newer, such as OpenJDK, so that `java` is found on the PATH"
        raise DataError("reading names needs Java, which is not found here", hint=hint)
    return path


def find_jar() -> Path:
    """OPSIN's JAR, found without importing py2opsin (which starts Java, and warns where there is none).

    Raises:
        DataError: py2opsin is not installed.
    """
    spec = find_spec("py2opsin")
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    jars = sorted(jar for folder in folders for jar in Path(folder).glob("opsin*.jar"))
    if not jars:
        raise DataError("reading names needs the package py2opsin", hint="pip install 'mammal[iupac]'")
    return jars[-1]


@cache
def _starts(java: str) -> bool:
    try:
        return subprocess.run([java, "-version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _unasked(text: str) -> OpsinAnswer | None:
    """The reading of a name that OPSIN need not see."""
    if not text:
        return OpsinAnswer(None, "empty name")
    if len(text) > MAX_LENGTH:
        return OpsinAnswer(None, f"name of {len(text):,} characters, more than {MAX_LENGTH:,}")
    return None


def _ask(command: Sequence[str], texts: Sequence[str]) -> list[OpsinAnswer]:
    """Readings of the first names: of all of them, unless one ends or stalls Java, which is then the last."""
    given = "".join(f"{text}\n" for text in texts).encode()
    patience = _SECONDS + _SECONDS_PER_NAME * len(texts)
    pipes: dict[str, Any] = {"input": given, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        done = subprocess.run(command, **pipes, timeout=patience, check=False)
    except subprocess.TimeoutExpired as stalled:
        found, _ = _readings(stalled.stdout or b"")
        return [*found, OpsinAnswer(None, "OPSIN takes too long over it")][: len(texts)]
    found, told = _readings(done.stdout)
    if not found:
        raise DataError(f"OPSIN ended with code {done.returncode}: {told[-1] if told else 'no word'}")
    return [*found, OpsinAnswer(None, "OPSIN broke off at it")][: len(texts)]


def _readings(output: bytes) -> tuple[list[OpsinAnswer], list[str]]:
    """Readings of the finished lines `SMILES<tab>NAME`, and what was said after the last.

    Before the line of a name that it can't read, which begins with the tab, OPSIN says why.
    """
    readings: list[OpsinAnswer] = []
    told: list[str] = []
    for line in output.decode(errors="replace").split("\n")[:-1]:
        smiles, tab, _ = line.partition("\t")
        if not tab:
            told.append(line.strip())
            continue
        why = " ".join(said for said in told if not said.startswith(_PROMPT)) or "OPSIN can't read it"
        readings.append(OpsinAnswer(smiles) if smiles else OpsinAnswer(None, why))
        told = []
    return readings, told

"""Names to structures through OPSIN (Lowe et al. 2011, doi 10.1021/ci100384d), the JAR that py2opsin ships.

One start of Java reads any number of names. The JAR is asked on its standard input rather than through py2opsin's
function: that writes a file in the working folder, in the encoding of the locale, and tells all failures in one
warning; here each name that can't be read has its own reason.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
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

_DOUBTS = ("APPEARS_AMBIGUOUS:", "STEREOCHEMISTRY_IGNORED:")
"""How the lines begin that OPSIN 2.9 writes before an answer of which it is not sure (`chlorotoluene`)."""
_EXTENDED = re.compile(r" \|(?P<extension>.*)\|$")
_ATOM_LABELS = re.compile(r"\$_AV:[^$]*\$")
_RACEMIC = re.compile(r"(?:^|,)(?:r(?=,|$)|&\d+:)")
_RELATIVE = re.compile(r"(?:^|,)o\d+:")
"""Groups of enhanced stereochemistry in CXSMILES (RDKit and ChemAxon write them alike)."""
_METALS = ("Li", "Na", "K", "Rb", "Cs", "Be", "Mg", "Ca", "Sr", "Ba", "Al", "Zn", "Ag", "Cu", "Fe", "Pb")
_NEUTRAL_METALS = frozenset(f"[{metal}]" for metal in _METALS)
"""Of `phenol sodium salt` OPSIN 2.9 makes phenol and a sodium atom: it takes protons from stronger acids only."""
_LANGUAGE_TAG = re.compile(r"\s*[\[(](?:german|french|spanish|italian|dutch|polish|czech|russian|japanese)[\])]$", re.I)
"""At the end of many names of registries. OPSIN reads `[german]` as germane, a component of its own."""


@dataclass(frozen=True)
class OpsinAnswer:
    """What OPSIN makes of one name.

    Attributes:
        smiles: as OPSIN writes it: Kekulé form, atoms in the order in which the name mentions them. None: unread.
        reason: why there is none.
        warning: why the structure may not be what the name means: OPSIN calls the name ambiguous or leaves out a part
            of it, or the name is of a racemate or of relative configuration and the SMILES of one enantiomer, or a
            metal stands beside the molecule as a neutral atom. None: no doubt.
    """

    smiles: str | None
    reason: str | None = None
    warning: str | None = None


def read_names(names: Sequence[str], *, ignore_stereo: bool = False, allow_radicals: bool = False) -> list[OpsinAnswer]:
    """A reading for each name, in order, with one start of Java.

    Blanks and line breaks inside a name count as one blank, so no name can shift the answers of others. A name that
    ends or stalls Java is unread, and those after it are read by another start. A language in brackets at the end of
    a name is left out, with a warning.

    Args:
        ignore_stereo: leave out stereo descriptors that OPSIN can't place, in place of refusing the name.
        allow_radicals: also read substituents, such as `ethyl`.

    Raises:
        DataError: py2opsin or Java is missing, or Java can't run the JAR.
    """
    whole = [" ".join(name.split()) for name in names]
    texts = [_LANGUAGE_TAG.sub("", text) for text in whole]
    readings = [_unasked(text) for text in texts]
    waiting = [number for number, reading in enumerate(readings) if reading is None]
    flags = ["-s"] * ignore_stereo + ["-r"] * allow_radicals
    command = [find_java(), *_JVM, "-jar", str(find_jar()), "-oextendedsmi", "-n", *flags] if waiting else []
    while waiting:
        found = _ask(command, [texts[number] for number in waiting])
        for number, reading in zip(waiting, found, strict=False):
            readings[number] = reading
        waiting = waiting[len(found) :]
    found = [reading for reading in readings if reading is not None]
    for number, (name, text, read) in enumerate(zip(names, whole, texts, strict=True)):
        if read != text:
            found[number] = _doubted(found[number], f"left out {text.removeprefix(read).strip()}")
        if "." in (found[number].smiles or "") and len(name.strip().splitlines()) > 1:
            found[number] = _doubted(found[number], "a line break within the name: several names?")
    return found


def why_missing() -> DataError | None:
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
    """Readings of the finished lines `SMILES |extension|<tab>NAME`, and what was said after the last.

    Before the line of a name that it can't read, which begins with the tab, OPSIN says why; before that of a name that
    it has doubts about, which doubts.
    """
    readings: list[OpsinAnswer] = []
    told: list[str] = []
    for line in output.decode(errors="replace").split("\n")[:-1]:
        extended, tab, _ = line.partition("\t")
        if not tab:
            told.append(line.strip())
            continue
        readings.append(_reading(extended, [said for said in told if not said.startswith(_PROMPT)]))
        told = []
    return readings, told


def _reading(extended: str, told: Sequence[str]) -> OpsinAnswer:
    """The reading of one name, from its extended SMILES and what OPSIN said before it."""
    if not extended:
        return OpsinAnswer(None, " ".join(told) or "OPSIN can't read it")
    smiles = _EXTENDED.sub("", extended)
    extension = _EXTENDED.search(extended)
    groups = _ATOM_LABELS.sub("", extension["extension"] if extension else "")
    doubts = [said for said in told if said.startswith(_DOUBTS)]
    if _RACEMIC.search(groups):
        doubts.append("the name means a racemate, the SMILES one enantiomer")
    if _RELATIVE.search(groups):
        doubts.append("the name gives relative configuration, the SMILES absolute")
    if metal := _neutral_metal(smiles):
        doubts.append(f"{metal} as a neutral atom: the salt of a weak acid?")
    reading = OpsinAnswer(smiles)
    for doubt in doubts:
        reading = _doubted(reading, doubt)
    return reading


def _neutral_metal(smiles: str) -> str | None:
    """An alkali or alkaline earth atom without charge and bonds beside other components: `[Na].Oc1ccccc1`."""
    parts = smiles.split(".")
    return next((part for part in parts if len(parts) > 1 and part in _NEUTRAL_METALS), None)


def _doubted(reading: OpsinAnswer, doubt: str) -> OpsinAnswer:
    """The same reading with one more doubt; one without a structure needs none."""
    if reading.smiles is None:
        return reading
    return replace(reading, warning="; ".join(filter(None, (reading.warning, doubt))))

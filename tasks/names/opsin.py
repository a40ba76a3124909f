"""Structures of names by OPSIN (Lowe et al. 2011, doi 10.1021/ci100384d), whose JAR is in the package py2opsin.

One start of Java reads any number of names. The names are passed on standard input, not with py2opsin's function. That
function writes a file to the working folder, in the encoding of the locale, and reports all failures in one warning;
here each name that can't be read has its own reason.
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
from mammal.tasks.names.doubts import doubts_about

MAX_LENGTH = 1_000
"""Maximum number of characters of a name; for deeply nested names OPSIN's time grows without bound."""

_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Options of Java: one garbage collector thread and only the quick compiler, which need a third of the processor time
for a few thousand names."""
_PROMPT = "Run the jar using"
"""Beginning of the line that OPSIN writes for interactive users."""
_SECONDS, _SECONDS_PER_NAME = 120.0, 0.1
"""Time limit of a batch: constant, and per name. It is generous for busy machines; a name takes about 0.3 ms."""

_DOUBTS = ("APPEARS_AMBIGUOUS:", "STEREOCHEMISTRY_IGNORED:")
"""Beginnings of the lines that OPSIN 2.9 writes before an uncertain answer (`chlorotoluene`)."""
_EXTENDED = re.compile(r" \|(?P<extension>.*)\|$")
_ATOM_LABELS = re.compile(r"\$_AV:[^$]*\$")
_RACEMIC = re.compile(r"(?:^|,)(?:r(?=,|$)|&\d+:)")
_RELATIVE = re.compile(r"(?:^|,)o\d+:")
"""Groups of enhanced stereochemistry in CXSMILES (the same in RDKit and ChemAxon)."""
_BREAK = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
_LANGUAGE_TAG = re.compile(r"\s*[\[(](?:german|french|spanish|italian|dutch|polish|czech|russian|japanese)[\])]$", re.I)
"""Language at the end of many names in registries. OPSIN reads `[german]` as germane, a separate component."""


@dataclass(frozen=True)
class OpsinAnswer:
    """OPSIN's result for one name.

    Attributes:
        smiles: SMILES of OPSIN, in Kekulé form, with atoms in the order of the name. None: OPSIN can't read the name.
        reason: the reason why there is no SMILES.
        warning: the reason why the structure may differ from the meaning of the name: OPSIN reports the name as
            ambiguous or ignores a part of it; the name is of a racemate or of relative configuration, while the SMILES
            is of one enantiomer; or the structure is one that such a name rarely means (`doubts.py`). None: no doubt.
    """

    smiles: str | None
    reason: str | None = None
    warning: str | None = None


def read_names(names: Sequence[str], *, ignore_stereo: bool = False, allow_radicals: bool = False) -> list[OpsinAnswer]:
    """Reads the structures of names, in order, with one start of Java.

    Blanks and line breaks inside a name count as one blank, so that a name can't shift the answers of others. If a name
    crashes or stalls Java, it is not read, and Java is started again for the names after it. A language in brackets at
    the end of a name is ignored, with a warning.

    Args:
        names: IUPAC names.
        ignore_stereo: ignore stereo descriptors that OPSIN can't interpret, instead of rejecting the name.
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
            found[number] = doubted(found[number], f"left out {text.removeprefix(read).strip()}")
        if "." in (found[number].smiles or "") and _BREAK.search(name.strip()):
            found[number] = doubted(found[number], "a line break or tab within the name: several names?")
    return found


def why_missing() -> DataError | None:
    """Returns the reason why names can't be read here, None if they can."""
    try:
        find_jar(), find_java()
    except DataError as error:
        return error
    return None


def find_java() -> str:
    """Returns the path of a working Java.

    Raises:
        DataError: there is none.
    """
    path = shutil.which("java")
    if path is None or not _starts(path):
        hint = "install a Java of version 8 or newer, such as OpenJDK, so that `java` is found on the PATH"
        raise DataError("reading names needs Java, which is not found here", hint=hint)
    return path


def find_jar() -> Path:
    """Returns the path of OPSIN's JAR, without importing py2opsin (which starts Java, and warns if there is none).

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
    """The result for a name that need not be passed to OPSIN."""
    if not text:
        return OpsinAnswer(None, "empty name")
    if len(text) > MAX_LENGTH:
        return OpsinAnswer(None, f"name of {len(text):,} characters, more than {MAX_LENGTH:,}")
    return None


def _ask(command: Sequence[str], texts: Sequence[str]) -> list[OpsinAnswer]:
    """Results of the first names: of all of them, or up to one that crashes or stalls Java."""
    given = "".join(f"{text}\n" for text in texts).encode()
    patience = _SECONDS + _SECONDS_PER_NAME * len(texts)
    pipes: dict[str, Any] = {"input": given, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        done = subprocess.run(command, **pipes, timeout=patience, check=False)
    except subprocess.TimeoutExpired as stalled:
        found, _ = _readings(stalled.stdout or b"")
        return [*found, OpsinAnswer(None, "OPSIN takes too long over it")][: len(texts)]
    found, messages = _readings(done.stdout)
    if not found:
        raise DataError(f"OPSIN ended with code {done.returncode}: {messages[-1] if messages else 'no word'}")
    return [*found, OpsinAnswer(None, "OPSIN broke off at it")][: len(texts)]


def _readings(output: bytes) -> tuple[list[OpsinAnswer], list[str]]:
    """Results of the complete lines `SMILES |extension|<tab>NAME`, and the messages after the last one.

    If OPSIN can't read a name, its line begins with the tab, and the reason is on the lines before it. For an uncertain
    name, the doubts are on the lines before it.
    """
    readings: list[OpsinAnswer] = []
    messages: list[str] = []
    for line in output.decode(errors="replace").split("\n")[:-1]:
        extended, tab, name = line.partition("\t")
        if not tab:
            messages.append(line.strip())
            continue
        readings.append(_reading(name, extended, [said for said in messages if not said.startswith(_PROMPT)]))
        messages = []
    return readings, messages


def _reading(name: str, extended: str, messages: Sequence[str]) -> OpsinAnswer:
    """The result of a name, from its extended SMILES and OPSIN's messages before it."""
    if not extended:
        return OpsinAnswer(None, " ".join(messages) or "OPSIN can't read it")
    smiles = _EXTENDED.sub("", extended)
    extension = _EXTENDED.search(extended)
    groups = _ATOM_LABELS.sub("", extension["extension"] if extension else "")
    doubts = [said for said in messages if said.startswith(_DOUBTS)]
    if _RACEMIC.search(groups):
        doubts.append("the name means a racemate, the SMILES one enantiomer")
    if _RELATIVE.search(groups):
        doubts.append("the name gives relative configuration, the SMILES absolute")
    return doubted(OpsinAnswer(smiles), *doubts, *doubts_about(name, smiles))


def doubted(reading: OpsinAnswer, *doubts: str) -> OpsinAnswer:
    """Returns the result with more doubts, each once; unchanged if it has no structure.

    Args:
        reading: OPSIN's result.
        doubts: reasons why the structure may differ from the meaning of the name.
    """
    if reading.smiles is None:
        return reading
    known = (reading.warning or "").split("; ")
    return replace(reading, warning="; ".join(dict.fromkeys(filter(None, (*known, *doubts)))) or None)

"""The quality of molecules, proteins and DNA as they are written, and of numbers in the input.

Kinds of molecules are counted that the standardisation of the task keeps apart although assays often do not (salts,
charges, isotopes), that it rewrites, and that RDKit reads differently from how they are written.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.data_check.checked_data import cell_or_none
from mammal.data_check.duplicates import robust_sd
from mammal.data_check.findings import NOTE, WARNING, Finding, FlaggedRow, counted, largest_first, percent
from mammal.errors import DataError
from mammal.tasks.molecules.policy import KEEP, normalises
from mammal.tasks.tables.cells import as_number, as_text

if TYPE_CHECKING:
    from mammal.data_check.checked_data import CheckedData

USUAL_ELEMENTS = frozenset({"H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I"})
COUNTER_IONS = frozenset({"Li", "Na", "K", "Mg", "Ca", "Zn", "Al"})
"""Elements that are usual in salts."""
RESIDUES, BASES = frozenset("ACDEFGHIKLMNPQRSTVWY"), frozenset("ACGT")
MANY_N = 0.05
"""Share of N in a DNA sequence from which it is reported."""
EXTREME = 20.0
"""Robust z-score of an input number from which it is reported."""

_STEREO = re.compile(r"@+|[/\\]")
_BRACKETS = re.compile(r"\[[^\]]*\]|<[^>]*>")

_MOLECULES = {
    "mixture": (
        "with several components (salts or mixtures)",
        "The model reads all components. The same drug as a salt and as a free base are two molecules for it.",
        "`standardise: {salts: parent}` in the task, if the label is that of the parent molecule",
    ),
    "charged": (
        "with a net charge",
        "Charged and neutral forms of one molecule are different molecules for the model.",
        "`standardise: {charges: neutral}` in the task writes the neutral form where there is one",
    ),
    "isotope": (
        "with marks of isotopes",
        "Isotopes are rare tokens, and rarely change a label.",
        "`standardise: {isotopes: remove}` in the task, if they have no meaning for the label",
    ),
    "rewritten": (
        "with groups that RDKit's Normalizer rewrites (separated charges of sulfoxides, azides, phosphine oxides …)",
        "Two spellings of one group are different prompts, unless the task standardises them.",
        "`standardise: normalised` in the task writes one spelling",
    ),
    "lost_stereo": (
        "with stereo marks that RDKit does not keep, because there is no stereocentre",
        "The source probably had another structure in mind, or the SMILES was edited.",
        "check these structures in the source",
    ),
    "unusual_element": (
        "with unusual elements",
        "Such atoms are rare in pretraining data; predictions for them are unreliable.",
        "leave them out if the model is not meant for them",
    ),
    "no_carbon": (
        "without a carbon atom",
        "Ions, gases and solvents are probably no members of the data set.",
        "leave them out if the model is not meant for them",
    ),
}
"""Kind -> what such rows are, what it means, remedy."""


def text_findings(data: CheckedData) -> Iterator[Finding]:
    """Finds unusual texts in the molecule and sequence columns, and missing or extreme numbers of the input."""
    for column, kind in data.kinds.items():
        if kind == "molecule":
            yield from _molecules(data, column)
        elif kind == "protein":
            yield from _letters(data, column, RESIDUES, "residue", "nonstandard_residue")
        elif kind == "dna":
            yield from _dna(data, column)
    numbers = [column for column, kind in data.kinds.items() if kind == "number"]
    for column in dict.fromkeys([*numbers, *data.task.steering.numbers]):
        yield from _numbers(data, column)


def _molecules(data: CheckedData, column: str) -> Iterator[Finding]:
    seen: dict[str, dict[str, str]] = {}
    found: dict[str, list[FlaggedRow]] = defaultdict(list)
    for row, cells in enumerate(data.inputs):
        if cells is None or column not in cells:
            continue
        value = cell_or_none(data.rows[row], column)
        text = cells[column] if value is None else as_text(value)
        if text not in seen:
            seen[text] = dict(_oddities(text))
        for kind, detail in seen[text].items():
            found[kind].append(FlaggedRow(row, detail, data.shown(row)))
    for kind, rows in found.items():
        what, meaning, remedy = _MOLECULES[kind]
        declared = data.task.config.standardise
        if kind in _UNDONE and not isinstance(declared, str) and declared[_UNDONE[kind]] != KEEP:
            meaning, remedy = "`standardise` of the task undoes it where possible.", "nothing"
        if kind == "rewritten" and normalises(declared):
            meaning, remedy = "The task writes one spelling of them.", "nothing"
        share = percent(len(rows) / len(data))
        details = Counter(row.detail for row in rows).most_common(5)
        words = f": {', '.join(f'{d} ({n:,})' for d, n in details)}" if kind in _WITH_DETAILS else ""
        yield Finding(
            kind, NOTE, len(rows), f"{counted(len(rows), 'row')} ({share}) {what}{words}", meaning, remedy, column, rows
        )


_UNDONE = {"mixture": "salts", "charged": "charges", "isotope": "isotopes"}
"""What is found -> the key of `standardise` that can undo it."""

_WITH_DETAILS = ("unusual_element", "isotope")


def _oddities(smiles: str) -> Iterator[tuple[str, str]]:
    """Kinds of `_MOLECULES` that a molecule is, each with a detail."""
    from mammal.tasks.molecules.chemistry import canonical_or_none, normalised_or_none, parse_smiles

    molecule = parse_smiles(smiles)
    canonical = canonical_or_none(smiles)
    if molecule is None or canonical is None:
        return
    if "." in canonical:
        yield "mixture", f"{canonical.count('.') + 1} components"
    atoms = list(molecule.GetAtoms())
    if charge := sum(atom.GetFormalCharge() for atom in atoms):
        yield "charged", f"{charge:+d}"
    if isotopes := sorted({f"{a.GetIsotope()}{a.GetSymbol()}" for a in atoms if a.GetIsotope()}):
        yield "isotope", " ".join(isotopes)
    if normalised_or_none(smiles) != canonical:
        yield "rewritten", str(normalised_or_none(smiles))
    lost = _lost_stereo(smiles, molecule)
    if lost:
        yield "lost_stereo", lost
    elements = {atom.GetSymbol() for atom in atoms}
    usual = USUAL_ELEMENTS | (COUNTER_IONS if "." in canonical else frozenset())
    if elements - usual:
        yield "unusual_element", " ".join(sorted(elements - usual))
    if "C" not in elements:
        yield "no_carbon", canonical


def _lost_stereo(smiles: str, molecule: Any) -> str:
    """Which stereo marks of a SMILES RDKit does not keep, in words; "" if it keeps all."""
    from rdkit import Chem

    marks = Counter(mark[0] for mark in _STEREO.findall(smiles))
    if not marks:
        return ""
    centres = sum(atom.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED for atom in molecule.GetAtoms())
    bonds = sum(bond.GetStereo() > Chem.BondStereo.STEREOANY for bond in molecule.GetBonds())
    if marks["@"] > centres:
        return f"{counted(marks['@'] - centres, 'centre')} of {marks['@']}"
    return "double bond" if marks["/"] + marks["\\"] and not bonds else ""


def _letters(
    data: CheckedData, column: str, usual: frozenset[str], noun: str, kind: str, *, least: float = 0.0
) -> Iterator[Finding]:
    """Rows with other letters than the usual ones."""
    counts: Counter[str] = Counter()
    rows = []
    for row, cells in enumerate(data.inputs):
        text = _BRACKETS.sub("", (cells or {}).get(column, "")).upper()
        others = [letter for letter in text if letter not in usual and letter.isalpha()]
        if others and len(others) >= least * len(text):
            counts.update(others)
            words = f"{counted(len(others), noun)}: {''.join(sorted(set(others)))}"
            rows.append(FlaggedRow(row, words, data.shown(row), None, len(others) / len(text)))
    if rows:
        shown = ", ".join(f"{letter} ({count:,})" for letter, count in counts.most_common(6))
        yield Finding(
            kind,
            NOTE,
            len(rows),
            f"{counted(len(rows), 'row')} ({percent(len(rows) / len(data))}) with other letters in {column} than the "
            f"{len(usual)} {noun}s: {shown}",
            "Such letters have tokens of their own, which are rare. A model learns little about them.",
            "look up the real residue or base, or leave out sequences with many of them",
            column,
            largest_first(rows),
        )


def _dna(data: CheckedData, column: str) -> Iterator[Finding]:
    """DNA with a large share of N, and with other letters."""
    rows = []
    for row, cells in enumerate(data.inputs):
        text = (cells or {}).get(column, "").upper()
        share = text.count("N") / len(text) if text else 0.0
        if share >= MANY_N:
            rows.append(FlaggedRow(row, f"{percent(share)} N", data.shown(row), None, share))
    if rows:
        yield Finding(
            "unknown_bases",
            WARNING if len(rows) >= 0.05 * len(data) else NOTE,
            len(rows),
            f"{counted(len(rows), 'row')} with {percent(MANY_N)} or more N in {column}",
            "N is an unknown base: gaps of the assembly, ends of contigs, or masked regions.",
            "leave out windows with many N",
            column,
            largest_first(rows),
        )
    yield from _letters(data, column, BASES | {"N"}, "base", "nonstandard_base")


def _numbers(data: CheckedData, column: str) -> Iterator[Finding]:
    """Numbers of the input that are missing, not numbers, or far outside the others."""
    if column not in data.frame:
        return
    numbers, missing, wrong = np.full(len(data), np.nan), [], []
    for row, cells in enumerate(data.rows):
        value = cell_or_none(cells, column)
        if value is None:
            missing.append(FlaggedRow(row, "empty", data.shown(row)))
            continue
        try:
            numbers[row] = as_number(value, column)
        except DataError as error:
            wrong.append(FlaggedRow(row, str(error), data.shown(row)))
    yield from _missing(data, column, missing, wrong)
    known_N = np.flatnonzero(~np.isnan(numbers))
    if len(known_N) < 20:
        return
    spread = robust_sd(numbers[known_N])
    z_N = np.abs(numbers[known_N] - np.median(numbers[known_N])) / (spread or np.inf)
    far = [(int(row), float(z)) for row, z in zip(known_N, z_N, strict=True) if z >= EXTREME]
    if far:
        rows = [FlaggedRow(row, f"{numbers[row]:g}: z = {z:.0f}", data.shown(row), None, z) for row, z in far]
        yield Finding(
            "extreme_input",
            WARNING,
            len(rows),
            f"{counted(len(rows), 'number')} of the input {column} more than {EXTREME:g} standard deviations from the "
            "median",
            "The scale of an input is fitted on training rows; a few extremes make all other numbers nearly equal.",
            "check the unit, or use logarithms",
            column,
            largest_first(rows),
        )


def _missing(
    data: CheckedData, column: str, missing: Sequence[FlaggedRow], wrong: Sequence[FlaggedRow]
) -> Iterator[Finding]:
    optional = column in data.task.conditions
    if missing:
        yield Finding(
            "missing_input",
            NOTE if optional else WARNING,
            len(missing),
            f"{counted(len(missing), 'row')} ({percent(len(missing) / len(data))}) without the input number {column}",
            "A condition may be missing." if optional else "These rows are left out.",
            "fill in the number, or declare the column as a condition",
            column,
            missing,
        )
    if wrong:
        yield Finding(
            "not_a_number",
            WARNING,
            len(wrong),
            f"{counted(len(wrong), 'row')} where the input {column} is not a number",
            "These rows are left out.",
            "write plain numbers",
            column,
            wrong,
        )

"""Warns of a column that holds another kind of sequence than the task reads: SMILES where proteins belong, and so on.

The model would answer, because many SMILES and all DNA can be written in the letters of proteins. A warning needs that
every value looks like the other kind, and that values of the right kind hardly ever do. A few values that are neither
(a SMILES with a slip) do not count.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from mammal.rows.column_match import column_alphabets
from mammal.tasks.tables.cells import as_text, is_missing

if TYPE_CHECKING:
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

LOOKED_AT = 100
"""Values of a column that are looked at."""
LETTERS = 8
"""Letters that the values of a column have in all, at least, for their letters alone to count: of eight residues of
natural proteins less than one in 10,000 times all are A, C, G or T, or all can be in a chain of atoms."""
CARBONS = 0.4
"""Share of C in text that could be a peptide, from which on it is taken for a molecule; cysteine is rarer."""

MOSTLY = 0.7
"""Least share of the values that are of one of the two kinds."""

_ANY_RESIDUES = re.compile(r"[A-Za-z*_-]+")
_ANY_BASES = re.compile(r"[ACGTUNRYSWKMBDHVacgtunryswkmbdhv.:/\[\]0-9_-]+")
"""Text that can be a protein or DNA, with marks of gaps, hidden stretches and variants."""
_MOLECULE = re.compile(r"(?:Br|Cl|\[[^\[\]]+\]|[BCNOPSFIbcnops]|[-=#$:/\\.~%()0-9+@*])+")
_RESIDUES = re.compile(r"[ACDEFGHIKLMNPQRSTVWY]+")
_ATOMS = re.compile(r"[CNOPSFIB]+")
_NO_CODE_OF_BASES = re.compile(r"[EFILPQ]")
"""Residues whose letters are not codes of ambiguous bases (IUPAC)."""
_NO_ATOM = re.compile(r"[DEGKLMQTVWY]")
"""Residues whose letters are neither atoms of a SMILES outside brackets nor the H of a formula."""
_BASES = re.compile(r"[ACGTUNacgtun]+")
_KINDS = {"SMILES": "molecules (SMILES)", "AA": "proteins", "DNA": "DNA"}


def other_kind(values: Sequence[str], alphabet: str) -> str | None:
    """The alphabet that all values of a column look written in, if it is not the one that is read.

    Args:
        values: text of the filled cells.
        alphabet: that the task reads: `SMILES`, `AA` or `DNA`.

    Returns:
        `SMILES`, `AA`, `DNA`, or None if the values can be what they should be.
    """
    telling = _NO_ATOM if alphabet == "SMILES" else _NO_CODE_OF_BASES
    looks: dict[str, Callable[[Sequence[str]], bool]] = {
        "DNA": _are_bases,
        "SMILES": _are_molecules,
        "AA": partial(_are_proteins, telling=telling),
    }
    for kind, are in looks.items():
        if kind == alphabet:
            continue
        readable = [value for value in values if _can_be(value, kind) or _can_be(value, alphabet)]
        if readable and len(readable) >= MOSTLY * len(values) and are(readable):
            return kind
    return None


def _can_be(value: str, alphabet: str) -> bool:
    if alphabet == "SMILES":
        from mammal.tasks.molecules.chemistry import canonical_or_none

        return _MOLECULE.fullmatch(value) is not None and canonical_or_none(value) is not None
    return (_ANY_BASES if alphabet == "DNA" else _ANY_RESIDUES).fullmatch(value) is not None


def warn_of_other_kinds(task: Task | None, rows: Sequence[Mapping[str, Any]], shown: Mapping[str, str]) -> None:
    """Logs a warning for each column whose values look written in another alphabet than the task reads.

    Args:
        task: that reads the rows; None: rows are prompts.
        rows: as they are read.
        shown: column of the task -> what the user's table calls it, where that differs.
    """
    if task is None:
        return
    for column, alphabet in column_alphabets(task).items():
        name = task.aliases.get(column, column)
        cells = (row.get(column, row.get(name)) for row in rows)
        values = list(islice((as_text(cell) for cell in cells if not is_missing(cell)), LOOKED_AT))
        if (kind := other_kind(values, alphabet)) is not None:
            what = "column %r looks like %s, and the task %s reads %s there: answers may have no meaning (such as %r)"
            example = values[0] if len(values[0]) <= 40 else f"{values[0][:40]}…"
            logger.warning(what, shown.get(column, column), _KINDS[kind], task.name, _KINDS[alphabet], example)


def _are_bases(values: Sequence[str]) -> bool:
    """Three different bases at least: a repeat of two, such as GAGAGA of silk, is a protein, too."""
    letters = "".join(values).upper()
    return len(letters) >= LETTERS and all(map(_BASES.fullmatch, values)) and len(set(letters) - {"N"}) >= 3


def _are_proteins(values: Sequence[str], telling: re.Pattern[str]) -> bool:
    """Residues, of which one at least in every value can't be anything else."""
    long_enough = sum(map(len, values)) >= LETTERS
    return long_enough and all(_RESIDUES.fullmatch(value) and telling.search(value) for value in values)


def _are_molecules(values: Sequence[str]) -> bool:
    if not all(map(_MOLECULE.fullmatch, values)):
        return False
    letters = "".join(values)
    if all(map(_RESIDUES.fullmatch, values)):  # could be peptides
        carbons = letters.count("C") / len(letters)
        if len(letters) < LETTERS or carbons < CARBONS or not all(map(_ATOMS.fullmatch, values)):
            return False
    from mammal.tasks.molecules.chemistry import canonical_or_none

    return all(canonical_or_none(value) is not None for value in values)

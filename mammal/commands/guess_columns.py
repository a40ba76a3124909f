"""Guesses what the columns of a table contain: molecules, sequences, labels, numbers with bounds and units, a split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MOSTLY = 0.9
"""Share of the filled cells that must have the same kind for a column to count as molecules, sequences or numbers."""
MOST_CLASSES, MOST_WORDS = 10, 50
"""Maximum number of different cells in a column of labels, for whole numbers and for words."""
MOST_FOLDS = 20
SHORT_PROTEIN = 50
"""Proteins with a median length up to this (in residues) are peptides."""
LONGEST_WORD = 20
"""If there are few different texts, and their median length is below this, they are labels, not sequences."""
MOLECULES_PARSED = 200

_BASES = re.compile(r"(?:[ACGTNRYSWKMBDHV]|\[[ACGTN/:.0-9-]+\]){10,}", re.IGNORECASE)
_RESIDUES = re.compile(r"[ACDEFGHIKLMNPQRSTVWYBXZUO]{5,}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BOUND = re.compile(r"(>>|>=|>|≥|<<|<=|<|≤)\s*")
_UNIT = re.compile(r"(?P<name>.*?)\s*(?:\((?P<round>[^()]+)\)|\[(?P<square>[^\[\]]+)\]|\s/\s*(?P<slash>\S+))\s*")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COUNTER = re.compile(r"(^|_|\b)(id|idx|index|row|num|no|cid|unnamed.*)(_|\b|$)", re.IGNORECASE)
_FOLD = re.compile(r"(^|_)(cv_?)?folds?(_|$|\d)", re.IGNORECASE)
VALID_NAMES = {"valid", "validation", "val", "dev"}
_SPLIT_NAMES = {"train", "training", "test", "testing"} | VALID_NAMES
_NAMED_ENTITIES = {
    "antibody_heavy": ("heavy", "vh", "hchain"),
    "antibody_light": ("light", "vl", "lchain"),
    "antigen": ("antigen",),
    "epitope": ("epitope",),
}


@dataclass(frozen=True)
class TableColumn:
    """One column of a table and what it contains.

    Attributes:
        name: its name in the file.
        key: its name in a prompt: the same name, or an identifier that was made from it.
        holds: kind of its content: `entity`, `labels`, `numbers`, `split`, `fold` or `other`.
        cells: the filled cells.
        entity: entity of molecules or sequences.
        labels: different labels of a column of labels. Of two, the positive one is last if the words say so.
        spellings: other spellings of labels in the column, such as `1.0` for `1`.
        unit: unit of the numbers, according to the name of the column.
        missing: number of empty cells; of labels and numbers also cells with a word such as NA.
        bounded: number of cells that are bounds, such as `>10`.
        unreadable: number of filled cells of a column of numbers that are neither a number nor a bound.
        logarithmic: whether the numbers are positive and cover orders of magnitude (`_is_logarithmic`).
    """

    name: str
    key: str
    holds: str
    cells: tuple[str, ...]
    entity: str = ""
    labels: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()
    unit: str = ""
    missing: int = 0
    bounded: int = 0
    unreadable: int = 0
    logarithmic: bool = False

    @property
    def example(self) -> str:
        cell = self.cells[0] if self.cells else ""
        return cell if len(cell) <= 40 else f"{cell[:40]}…"


def look_at(frame: pd.DataFrame, targets: Collection[str] = ()) -> list[TableColumn]:
    """Returns the columns of a table, in order, with unique keys.

    Args:
        frame: rows of the table.
        targets: columns that the user names as targets: they hold labels or numbers, even if they look like a fold or
            like numbers of rows.
    """
    from mammal.tasks.tables.cells import as_text, is_missing

    looked: list[TableColumn] = []
    for name in map(str, frame.columns):
        cells = tuple(as_text(value) for value in frame[name].tolist() if not is_missing(value))
        plain, unit = name_and_unit(name)
        key = _key(plain if unit else name, {column.key for column in looked})
        missing = len(frame) - len(cells)
        is_target = name in targets or key in targets
        looked.append(_looked_at(name, key, unit, cells, missing, is_target=is_target))
    return looked


def name_and_unit(name: str) -> tuple[str, str]:
    """Separates the unit from the name of a column: `IC50 (nM)` -> `IC50`, `nM`.

    Args:
        name: name of the column.

    Returns:
        The name without the unit, and the unit. The unit is empty if the name contains none.
    """
    found = _UNIT.fullmatch(name)
    if found is None or not found["name"]:
        return name, ""
    return found["name"], (found["round"] or found["square"] or found["slash"]).strip()


def _looked_at(
    name: str, key: str, unit: str, cells: tuple[str, ...], missing: int, *, is_target: bool = False
) -> TableColumn:
    if not cells:
        return TableColumn(name, key, "other", cells, missing=missing)
    if not is_target and (found := _no_target(name, cells)):
        return TableColumn(name, key, found, cells, missing=missing)
    if entity := _entity(name, cells):
        return TableColumn(name, key, "entity", cells, entity=entity, missing=missing)
    known = _without_missing(cells)
    missing += len(cells) - len(known)
    if labels := _labels(known):
        spellings = tuple(sorted(set(known) - set(labels)))
        return TableColumn(name, key, "labels", known, labels=labels, spellings=spellings, unit=unit, missing=missing)
    cells = known
    bounded = sum(_BOUND.match(cell) is not None and _is_number(_BOUND.sub("", cell, count=1)) for cell in cells)
    numbers = [float(cell) for cell in cells if _is_number(cell)]
    unreadable = len(cells) - len(numbers) - bounded
    if not numbers or unreadable > (1 - MOSTLY) * len(cells):
        return TableColumn(name, key, "other", cells, missing=missing)
    return TableColumn(
        name,
        key,
        "numbers",
        cells,
        unit=unit,
        missing=missing,
        bounded=bounded,
        unreadable=unreadable,
        logarithmic=_is_logarithmic(numbers),
    )


def _no_target(name: str, cells: tuple[str, ...]) -> str:
    """What a column holds that says something about rows and is hardly ever predicted; empty for others."""
    if {cell.lower() for cell in cells} <= _SPLIT_NAMES:
        return "split"
    if _FOLD.search(name) and len(set(cells)) <= MOST_FOLDS:
        return "fold"
    return "other" if _counts_rows(name, cells) else ""


def _without_missing(cells: Sequence[str]) -> tuple[str, ...]:
    """The cells that no word for "missing" fills. `-` is a label if `+` is another one."""
    from mammal.tasks.tables.cells import is_missing_label

    signs = "+" in cells
    return tuple(cell for cell in cells if not is_missing_label(cell) or (signs and cell == "-"))


def _entity(name: str, cells: Sequence[str]) -> str:
    """Returns the entity of most cells.

    DNA and molecules are tried before proteins, because letters of residues can also be bases or an alkane in SMILES.
    """
    if _share(cells, _is_number) >= MOSTLY:
        return ""
    if _share(cells, lambda text: _BASES.fullmatch(text) is not None) >= MOSTLY:
        return "dna"
    if _share(cells[:MOLECULES_PARSED], _is_molecule) >= MOSTLY:
        return "smiles"
    median = sorted(map(len, cells))[len(cells) // 2]
    if _share(cells, lambda text: _RESIDUES.fullmatch(text) is not None) < MOSTLY:
        return ""
    if median < LONGEST_WORD and _labels(cells):  # all letters of ACTIVE and INACTIVE are also residues
        return ""
    words = set(re.split(r"[^a-z]+", name.lower()))
    for entity, names in _NAMED_ENTITIES.items():
        if words & set(names):
            return entity
    return "peptide" if median <= SHORT_PROTEIN else "protein"


def _is_logarithmic(numbers: Sequence[float]) -> bool:
    """Whether numbers are positive, over at least three orders of magnitude, and most of them over more than one and a
    half: shares between 0 and 1 have a few very small values, too."""
    if min(numbers) <= 0 or max(numbers) / min(numbers) < 1000:
        return False
    middle = sorted(numbers)[len(numbers) // 10 : len(numbers) - len(numbers) // 10]
    return middle[-1] / middle[0] >= 30


def _labels(cells: Sequence[str]) -> tuple[str, ...]:
    """Returns the classes of a column with few different cells, and nothing for a column of numbers.

    A class that is written in several ways is named by the most frequent one.
    """
    from mammal.tasks.targets.labels import label_key
    from mammal.tasks.targets.positive import positive_last

    written: dict[str, Counter[str]] = {}
    for cell in cells:
        written.setdefault(label_key(cell), Counter())[cell] += 1
    different = {min(counts, key=lambda text: (-counts[text], len(text), text)) for counts in written.values()}
    numeric = bool(different) and all(map(_is_number, different))
    most = MOST_CLASSES if numeric else MOST_WORDS
    if not 2 <= len(different) <= most or len(cells) < 2 * len(different):
        return ()
    if any(_BOUND.match(text) for text in different):
        return ()
    if numeric and any(not float(text).is_integer() for text in different):
        return ()
    return positive_last(sorted(different, key=lambda text: (float(text) if numeric else 0.0, text)))


def _counts_rows(name: str, cells: Sequence[str]) -> bool:
    """Whether a column numbers the rows: a name such as `id`, or whole numbers that rise by one."""
    if _share(cells, str.isdigit) < 1 or len(set(cells)) < len(cells):
        return False
    numbers = [int(cell) for cell in cells]
    return _COUNTER.search(name) is not None or all(b - a == 1 for a, b in pairwise(numbers))


def _key(name: str, taken: set[str]) -> str:
    key = name if _IDENTIFIER.fullmatch(name) else re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower() or "column"
    key = f"c_{key}" if key[0].isdigit() else key
    stem, number = key, 2
    while key in taken:
        key, number = f"{stem}_{number}", number + 1
    return key


def _is_molecule(text: str) -> bool:
    from mammal.tasks.molecules.chemistry import canonical_or_none

    return canonical_or_none(text) is not None


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text.strip()) is not None


def _share(cells: Sequence[str], test: Callable[[str], bool]) -> float:
    return sum(map(test, cells)) / len(cells)

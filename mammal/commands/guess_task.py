"""What a table could be asked: which columns hold molecules or sequences, which one is to be predicted, and how."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

ROWS_READ = 2_000
MOSTLY = 0.9
"""Share of the filled cells that must look alike for a column to count as molecules, sequences or numbers."""
MOST_CLASSES = 10
SHORT_PROTEIN = 50
"""Proteins of a median length up to this are called peptides."""

_BASES = re.compile(r"[ACGTNacgtn]{10,}")
_RESIDUES = re.compile(r"[ACDEFGHIKLMNPQRSTVWYBXZUO]{5,}")
_SPLIT_NAMES = {"train", "training", "valid", "validation", "val", "dev", "test", "testing"}


@dataclass(frozen=True)
class Guess:
    """A declaration to be, and why it is so.

    Attributes:
        entities: entity of each input column.
        labels: of a classification; empty means regression.
        decisions: one line for each thing that was decided.
    """

    name: str
    file: Path
    entities: dict[str, str]
    target: str
    labels: list[str]
    split: str
    decisions: list[str] = field(default_factory=list)

    def yaml(self) -> str:
        """The task file."""
        inputs = " ".join(f"{{{column}:{entity}}}" for column, entity in self.entities.items())
        if self.labels:
            preset, start = "_classification", "<SENTINEL_ID_0>"
            target = f"<SENTINEL_ID_0> {{{self.target}:label}}"
        else:
            preset, start = "_regression", "<MASK>"
            target = f"{{{self.target}:scalar}}"
        lines = [
            f"# Written by `mammal new-task {self.file}`; a first guess, to be read and edited.",
            f"defaults: [schema, {preset}, _self_]",
            f"name: {self.name}",
            f"about: {_quoted(f'{self.target} from {self.file.name}')}",
            f"data: {{source: file, path: {_quoted(str(self.file))}, split: {self.split}}}",
            "prompt:",
            f"  input: {_quoted(f'{start} {inputs}')}",
            f"  target: {_quoted(target)}",
        ]
        lines += [f"labels: [{', '.join(map(_quoted, self.labels))}]"] if self.labels else ["unit: null"]
        return "\n".join([*lines, "version: 1", ""])


def guess_task(file: Path, target: str | None = None, name: str | None = None) -> Guess:
    """Look at the first rows of a table.

    Args:
        target: the column to predict; None: the last one that holds labels or numbers.
        name: of the task; None: that of the file.

    Raises:
        DataError: the table can't be read, or no column can be an input, or none a target.
    """
    from mammal.tasks.readers import read_table

    frame = read_table(file, limit=ROWS_READ)
    columns = [str(column) for column in frame.columns]
    if target is not None and target not in columns:
        raise DataError(f"has no column {target!r}", where=str(file), hint=did_you_mean(target, columns, noun="column"))
    filled = {column: _filled(frame[column]) for column in columns if column.isidentifier()}
    entities = {c: e for c, cells in filled.items() if c != target and (e := _entity(cells)) is not None}
    decisions = [f"column {c}: {e}, as {_example(filled[c])}" for c, e in entities.items()]
    decisions += [f"column {c!r} is left alone: no prompt can name it" for c in columns if c not in filled]
    if not entities:
        raise DataError(
            "no column holds molecules, proteins or DNA", where=str(file), hint=f"columns: {', '.join(columns)}"
        )
    asked = target or _last_target(filled, entities)
    if asked is None or asked not in filled:
        raise DataError("no column holds labels or numbers", where=str(file), hint="say which one: target=COLUMN")
    labels = _labels(filled[asked])
    kind = f"classification, labels {', '.join(labels)}" if labels else "regression"
    decisions.append(f"target {asked}: {kind}" + ("" if target else " (the last column that can be one)"))
    split = _split(filled, entities)
    decisions.append(f"split: {split}")
    task_name = name or re.sub(r"\W+", "_", file.name.split(".")[0]).strip("_").lower() or "my_task"
    return Guess(task_name, file, entities, asked, labels, split, decisions)


def _filled(column: pd.Series) -> list[str]:
    from mammal.tasks.cells import as_text, is_missing

    return [as_text(value) for value in column.tolist() if not is_missing(value)]


def _entity(cells: Sequence[str]) -> str | None:
    """The entity of most cells: DNA before protein, whose letters include its own; molecules if RDKit reads them."""
    if not cells or _share(cells, _is_number) >= MOSTLY:
        return None
    if _share(cells, lambda text: _BASES.fullmatch(text) is not None) >= MOSTLY:
        return "dna"
    if _share(cells, lambda text: _RESIDUES.fullmatch(text) is not None) >= MOSTLY:
        lengths = sorted(map(len, cells))
        return "peptide" if lengths[len(lengths) // 2] <= SHORT_PROTEIN else "protein"
    return "smiles" if _share(cells[:200], _is_molecule) >= MOSTLY else None


def _is_molecule(text: str) -> bool:
    from mammal.tasks.chemistry import canonical_or_none

    return canonical_or_none(text) is not None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _share(cells: Sequence[str], test: Callable[[str], bool]) -> float:
    return sum(map(test, cells)) / len(cells)


def _last_target(filled: dict[str, list[str]], entities: dict[str, str]) -> str | None:
    can_be = [
        column
        for column, cells in filled.items()
        if column not in entities
        and cells
        and not _is_split(cells)
        and (_labels(cells) or _share(cells, _is_number) == 1)
    ]
    return can_be[-1] if can_be else None


def _labels(cells: Sequence[str]) -> list[str]:
    """The classes of a column with few different cells; empty for a column of numbers."""
    different = sorted(set(cells), key=lambda text: (float(text) if _is_number(text) else 0.0, text))
    few = 2 <= len(different) <= MOST_CLASSES and len(cells) >= 2 * len(different)
    return different if few and not any("." in text and not text.endswith(".0") for text in different) else []


def _is_split(cells: Sequence[str]) -> bool:
    return {cell.strip().lower() for cell in cells} <= _SPLIT_NAMES


def _split(filled: dict[str, list[str]], entities: dict[str, str]) -> str:
    for column, cells in filled.items():
        if cells and _is_split(cells):
            return f"given, split_column: {column}"
    kinds = set(entities.values())
    if kinds == {"smiles"}:
        return "scaffold"
    return "cluster" if len(entities) == 1 and not kinds & {"smiles", "dna"} else "random"


def _example(cells: Sequence[str]) -> str:
    return cells[0] if len(cells[0]) <= 40 else f"{cells[0][:40]}…"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

"""Guesses a task for a table: which columns are read, which are predicted, and how the rows are split."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mammal.commands.guess_columns import MOLECULES_PARSED, Column, look_at
from mammal.errors import DataError, did_you_mean

ROWS_READ = 2_000
RARE = 0.1
"""A note is printed for a class with a smaller share of the labels."""


@dataclass(frozen=True)
class Guess:
    """The guess of a task declaration, with the decisions that led to it.

    Attributes:
        name: name of the task.
        file: the table.
        inputs: columns that are read.
        targets: columns that are predicted: either all labels or all numbers.
        split: settings of `data` about the split.
        decisions: one line for each decision.
    """

    name: str
    file: Path
    inputs: list[Column]
    targets: list[Column]
    split: dict[str, str]
    decisions: list[str] = field(default_factory=list)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the targets. Empty for a regression."""
        return self.targets[0].labels if self.targets[0].holds == "labels" else ()

    def yaml(self) -> str:
        """Returns the text of the task file."""
        inputs = " ".join(f"{{{column.key}:{column.entity}}}" for column in self.inputs)
        start, target = _classes(self.targets) if self.labels else _numbers(self.targets)
        data = {"source": "file", "path": str(self.file), **self.split}
        aliases = {c.key: c.name for c in [*self.inputs, *self.targets] if c.key != c.name}
        about = f"{', '.join(c.name for c in self.targets)} from {self.file.name}"
        lines = [
            f"# Written by `mammal new-task {self.file}`. This is a first guess: read and edit it.",
            f"defaults: [schema, {'_classification' if self.labels else '_regression'}, _self_]",
            f"name: {self.name}",
            f"about: {_quoted(about)}",
            "data:",
            *(f"  {key}: {_quoted(value) if key == 'path' else value}" for key, value in data.items()),
            *(["  columns:", *(f"    {key}: {_quoted(name)}" for key, name in aliases.items())] if aliases else []),
            "prompt:",
            f"  input: {_quoted(f'{start} {inputs}'.strip())}",
            f"  target: {_quoted(target)}",
            *self._kind_lines(),
        ]
        return "\n".join([*lines, "too_long: refuse", "version: 1", ""])

    def _kind_lines(self) -> list[str]:
        if self.labels:
            return [f"labels: [{', '.join(map(_quoted, self.labels))}]"]
        units = {c.key: c.unit for c in self.targets if c.unit}
        unit = "null"
        if units:
            unit = json.dumps(units, ensure_ascii=False) if len(self.targets) > 1 else _quoted(self.targets[0].unit)
        logarithm = all(column.logarithmic for column in self.targets)
        return [f"unit: {unit}", *(["scale: {log: true}"] if logarithm else [])]


def guess_task(file: Path, target: str | None = None, name: str | None = None) -> Guess:
    """Guesses a task from the first 2,000 rows of a table.

    Args:
        file: the table.
        target: columns to predict, separated by commas. None: the last column with labels or numbers, and all other
            columns of the same kind.
        name: name of the task. None: name of the file.

    Raises:
        DataError: the table can't be read, or no column can be an input or a target.
    """
    from mammal.tasks.tables.readers import read_table

    columns = look_at(read_table(file, limit=ROWS_READ))
    asked = _asked(columns, target, file) if target else []
    inputs = [column for column in columns if column.holds == "entity" and column not in asked]
    if not inputs:
        names = ", ".join(column.name for column in columns)
        raise DataError("no column contains molecules, proteins or DNA", where=str(file), hint=f"columns: {names}")
    targets = asked or _targets(columns)
    if not targets:
        raise DataError("no column contains labels or numbers", where=str(file), hint="name one: target=COLUMN")
    split = _split(columns, inputs)
    decisions = [f"column {c.name}: {c.entity}, as {c.example}" + _renamed(c) for c in inputs]
    decisions += [line for column in targets for line in _told(column)]
    if len(targets) > 1 and not asked:
        decisions.append("every column of that kind is a target: target=COLUMN[,COLUMN] for fewer")
    decisions.append(f"split: {', '.join(split.values())}{_split_note(split, inputs)}")
    decisions += _left_alone(columns, [*inputs, *targets], split)
    task_name = name or re.sub(r"\W+", "_", file.name.split(".")[0]).strip("_").lower() or "my_task"
    return Guess(task_name, file, inputs, targets, split, decisions)


def _asked(columns: Sequence[Column], target: str, file: Path) -> list[Column]:
    """Returns the target columns that the user names.

    Raises:
        DataError: a column does not exist or has neither labels nor numbers, or the columns are of different kinds.
    """
    by_name = {column.key: column for column in columns} | {column.name: column for column in columns}
    names = [target] if target in by_name else [name.strip() for name in target.split(",")]
    for name in names:
        if name not in by_name:
            hint = did_you_mean(name, [column.name for column in columns], noun="column")
            raise DataError(f"has no column {name!r}", where=str(file), hint=hint)
        if by_name[name].holds not in ("labels", "numbers"):
            raise DataError(f"column {name!r} contains neither labels nor numbers", where=str(file))
    found = [by_name[name] for name in names]
    if any(not _alike(found[-1], column) for column in found):
        raise DataError(
            f"the columns {', '.join(names)} can't be targets of one task",
            where=str(file),
            hint="the targets of a task are all numbers, or all have the same labels; write one task for each",
        )
    return found


def _targets(columns: Sequence[Column]) -> list[Column]:
    """Returns the last column of labels or numbers, and all other columns of the same kind."""
    possible = [column for column in columns if column.holds in ("labels", "numbers")]
    return [column for column in possible if _alike(possible[-1], column)]


def _alike(last: Column, other: Column) -> bool:
    """Whether two columns can be targets of one task: both have numbers, or the same set of labels."""
    return last.holds == other.holds and last.labels == other.labels


def _classes(targets: Sequence[Column]) -> tuple[str, str]:
    """Returns the beginning of the input, and the target text with one sentinel for each label."""
    start = "<SENTINEL_ID_0>" if len(targets) == 1 else ""
    return start, " ".join(f"<SENTINEL_ID_{i}> {{{column.key}:label}}" for i, column in enumerate(targets))


def _numbers(targets: Sequence[Column]) -> tuple[str, str]:
    return "<MASK>" * len(targets), " ".join(f"{{{column.key}:scalar}}" for column in targets)


def _told(column: Column) -> list[str]:
    """Returns lines about a target: what was decided, and notes for the user."""
    unit = f" in {column.unit}" if column.unit else ""
    kind = f"classification, labels {', '.join(column.labels)}" if column.labels else f"regression{unit}"
    lines = [f"target {column.name}: {kind}{_renamed(column)}"]
    if column.missing:
        lines.append(f"  {column.missing:,} cells are empty: this target is not trained on these rows")
    if column.bounded:
        lines.append(f"  {column.bounded:,} cells are bounds such as >10: used one-sidedly (censored: one_sided)")
    if column.unreadable:
        lines.append(f"  {column.unreadable:,} cells are not numbers: these rows are left out")
    if column.logarithmic:
        lines.append("  over three orders of magnitude: learned as decimal logarithms (scale: {log: true})")
    if column.labels:
        label, count = min(Counter(column.cells).items(), key=lambda item: item[1])
        if count < RARE * len(column.cells):
            share = f"{count / len(column.cells):.1%}"
            lines.append(f"  label {label} is rare ({share}): look at auprc; class_weights: balanced counts it more")
    return lines


def _renamed(column: Column) -> str:
    return f", called {column.key} in the prompt" if column.key != column.name else ""


def _split(columns: Sequence[Column], inputs: Sequence[Column]) -> dict[str, str]:
    for holds, way in (("split", "given"), ("fold", "fold")):
        found = next((column for column in columns if column.holds == holds), None)
        if found is not None:
            return {"split": way, "split_column": _quoted(found.name)}
    entities = [column.entity for column in inputs]
    if set(entities) == {"smiles"}:
        return {"split": "random" if _one_scaffold(inputs[0]) else "scaffold"}
    return {"split": "cluster" if len(entities) == 1 and entities[0] != "dna" else "random"}


def _one_scaffold(column: Column) -> bool:
    """Whether most molecules have the same scaffold, or none, so that a scaffold split would leave a part empty."""
    from mammal.tasks.molecules.chemistry import scaffold

    counts = Counter(scaffold(cell) for cell in column.cells[:MOLECULES_PARSED])
    return counts.most_common(1)[0][1] > sum(counts.values()) / 2


def _split_note(split: dict[str, str], inputs: Sequence[Column]) -> str:
    if split["split"] == "random" and len(inputs) > 1:
        return " (both values of a test pair can then also occur in training rows; split: cold prevents this)"
    if split["split"] == "random" and inputs[0].entity == "smiles":
        return " (most molecules share a scaffold, or have none, so a scaffold split would leave a part empty)"
    return ""


def _left_alone(columns: Sequence[Column], used: Sequence[Column], split: dict[str, str]) -> list[str]:
    names = [c.name for c in columns if c not in used and _quoted(c.name) != split.get("split_column")]
    return [f"not used: {', '.join(names)}"] if names else []


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

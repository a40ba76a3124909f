"""Guesses a task for a table: which columns are read, which are predicted, and how the rows are split."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mammal.commands.guess_columns import MOLECULES_PARSED, VALID_NAMES, TableColumn, look_at
from mammal.commands.task_names import name_from
from mammal.errors import DataError, did_you_mean

ROWS_READ = 2_000
RARE = 0.1
"""A note is printed for a class with a smaller share of the labels."""
MOST_TARGETS = 3
"""Columns that are taken for targets without being named."""
LOG_METRICS = "rmse, mae, r2, pearson, spearman, rmse_log10, r2_log10"
"""Of numbers over orders of magnitude, where the largest few decide what the rmse is."""
VALID_SHARE = 0.1
"""Of the training rows of a published split without validation rows."""


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
        options: `target`, `name` and `encoding` of the command, if they were given.
        path: of the table, as the task file has it. Default: `file`.
    """

    name: str
    file: Path
    inputs: list[TableColumn]
    targets: list[TableColumn]
    split: dict[str, str]
    decisions: list[str] = field(default_factory=list)
    options: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the targets. Empty for a regression."""
        return self.targets[0].labels if self.targets[0].holds == "labels" else ()

    @property
    def command(self) -> str:
        """The command line that makes this guess, as a shell reads it."""
        options = [f"{key}={value}" for key, value in self.options.items()]
        return shlex.join(["mammal", "new-task", str(self.file), *options])

    def yaml(self) -> str:
        """Returns the text of the task file."""
        inputs = " ".join(f"{{{column.key}:{column.entity}}}" for column in self.inputs)
        start, target = _classes(self.targets) if self.labels else _numbers(self.targets)
        encoding = {"encoding": self.options["encoding"]} if "encoding" in self.options else {}
        data = {"source": "file", "path": str(self.path or self.file), **encoding, **self.split}
        aliases = {c.key: c.name for c in [*self.inputs, *self.targets] if c.key != c.name}
        about = f"{', '.join(c.name for c in self.targets)} from {self.file.name}"
        lines = [
            f"# Written by `{self.command}`. This is a first guess: read and edit it.",
            f"defaults: [schema, {'_classification' if self.labels else '_regression'}, _self_]",
            f"name: {self.name}",
            f"about: {_quoted(about)}",
            "data:",
            *(f"  {key}: {_quoted(value) if key in ('path', 'encoding') else value}" for key, value in data.items()),
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
        return [f"unit: {unit}", *(["scale: {log: true}", f"metrics: [{LOG_METRICS}]"] if logarithm else [])]


def guess_task(file: Path, target: str | None = None, name: str | None = None, encoding: str | None = None) -> Guess:
    """Guesses a task from the first 2,000 rows of a table.

    Args:
        file: the table.
        target: columns to predict, separated by commas. None: the last column with labels or numbers, and all other
            columns of the same kind.
        name: name of the task. None: name of the file.
        encoding: encoding of a text file, such as `latin-1`. None: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        DataError: the table can't be read, no column can be an input or a target, or more than three columns can be
            targets and none is named.
    """
    from mammal.tasks.tables.encodings import checked_encoding
    from mammal.tasks.tables.lines import UTF_8
    from mammal.tasks.tables.readers import FASTA, file_format, read_table

    if file_format(file) in FASTA:
        what = "a FASTA file has sequences and no labels, so there is nothing to learn from it"
        hint = "put sequences and labels into a table (sequence,label), or: mammal predict bundle=BUNDLE input=FASTA"
        raise DataError(what, where=str(file), hint=hint)
    codec = checked_encoding(encoding, file_format(file), file) or UTF_8
    frame = read_table(file, limit=ROWS_READ, encoding=codec)
    columns = look_at(frame, _named(target, frame.columns))
    asked = _asked(columns, target, file) if target else []
    inputs = [column for column in columns if column.holds == "entity" and column not in asked]
    if not inputs:
        names = ", ".join(column.name for column in columns)
        raise DataError("no column contains molecules, proteins or DNA", where=str(file), hint=f"columns: {names}")
    targets = asked or _targets(columns)
    if not targets:
        raise DataError("no column contains labels or numbers", where=str(file), hint="name one: target=COLUMN")
    if not asked and len(targets) > MOST_TARGETS:
        names = ",".join(column.name for column in targets)
        what = f"{len(targets)} columns could be targets: {names.replace(',', ', ')}"
        hint = (
            f"name those to predict: target={shlex.quote(targets[-1].name)}, or all: {shlex.quote(f'target={names}')}"
        )
        raise DataError(what, where=str(file), hint=hint)
    split = _split(columns, inputs)
    decisions = [f"column {c.name}: {c.entity}, as {c.example}" + _renamed(c) for c in inputs]
    decisions += [line for column in targets for line in _lines_about(column)]
    if len(targets) > 1 and not asked:
        decisions.append("every column of that kind is a target: target=COLUMN[,COLUMN] for fewer")
    shown = [value for key, value in split.items() if key != "valid_share"]
    decisions.append(f"split: {', '.join(shown)}{_split_note(split, inputs)}")
    if "valid_share" in split:
        decisions.append(f"  no validation rows: {VALID_SHARE:.0%} of the training rows are taken (valid_share)")
    decisions += _left_alone(columns, [*inputs, *targets], split)
    given = (("target", target), ("name", name), ("encoding", encoding))
    options = {key: value for key, value in given if value}
    return Guess(name or name_from(file.name.split(".")[0]), file, inputs, targets, split, decisions, options)


def _named(target: str | None, columns: Iterable[object]) -> list[str]:
    """The names in `target`: one column of the table, or several that are separated by commas."""
    if not target:
        return []
    return [target] if target in map(str, columns) else [name.strip() for name in target.split(",")]


def _asked(columns: Sequence[TableColumn], target: str, file: Path) -> list[TableColumn]:
    """Returns the target columns that the user names.

    Raises:
        DataError: a column does not exist or has neither labels nor numbers, or the columns are of different kinds.
    """
    by_name = {column.key: column for column in columns} | {column.name: column for column in columns}
    names = _named(target, by_name)
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


def _targets(columns: Sequence[TableColumn]) -> list[TableColumn]:
    """Returns the last column of labels or numbers, and all other columns of the same kind."""
    possible = [column for column in columns if column.holds in ("labels", "numbers")]
    return [column for column in possible if _alike(possible[-1], column)]


def _alike(last: TableColumn, other: TableColumn) -> bool:
    """Whether two columns can be targets of one task: both have numbers, or the same set of labels."""
    from mammal.tasks.targets.labels import label_key

    same_labels = set(map(label_key, last.labels)) == set(map(label_key, other.labels))
    return last.holds == other.holds and same_labels


def _classes(targets: Sequence[TableColumn]) -> tuple[str, str]:
    """Returns the beginning of the input, and the target text with one sentinel for each label."""
    start = "<SENTINEL_ID_0>" if len(targets) == 1 else ""
    return start, " ".join(f"<SENTINEL_ID_{i}> {{{column.key}:label}}" for i, column in enumerate(targets))


def _numbers(targets: Sequence[TableColumn]) -> tuple[str, str]:
    return "<MASK>" * len(targets), " ".join(f"{{{column.key}:scalar}}" for column in targets)


def _lines_about(column: TableColumn) -> list[str]:
    """Returns lines about a target: what was decided, and notes for the user."""
    unit = f" in {column.unit}" if column.unit else ""
    kind = f"classification, labels {', '.join(column.labels)}" if column.labels else f"regression{unit}"
    lines = [f"target {column.name}: {kind}{_renamed(column)}"]
    if column.missing:
        lines.append(f"  {column.missing:,} cells are empty or say NA: this target is not trained on these rows")
    if column.bounded:
        lines.append(f"  {column.bounded:,} cells are bounds such as >10: used one-sidedly (censored: one_sided)")
    if column.unreadable:
        lines.append(f"  {column.unreadable:,} cells are not numbers: these rows are left out")
    if column.logarithmic:
        lines.append("  over three orders of magnitude: learned as decimal logarithms (scale: {log: true})")
    if column.labels:
        lines += _lines_about_labels(column)
        label, count = min(_label_counts(column).items(), key=lambda item: item[1])
        if count < RARE * len(column.cells):
            share = f"{count / len(column.cells):.1%}"
            lines.append(f"  label {label} is rare ({share}): look at auprc; class_weights: balanced counts it more")
    return lines


def _lines_about_labels(column: TableColumn) -> list[str]:
    """Which of two labels is the positive class and why, and which spellings are one label."""
    from mammal.tasks.targets.positive import known_positive

    lines = []
    if len(column.labels) == 2:
        known = known_positive(column.labels) is not None
        why = "" if known else ", the last of the two: reorder `labels` in the file if it is the other one"
        lines.append(f"  positive: {column.labels[1]}{why}")
    if column.spellings:
        lines.append(f"  also written {', '.join(column.spellings)}: the same labels")
    return lines


def _label_counts(column: TableColumn) -> Counter[str]:
    from mammal.tasks.targets.labels import LabelSet

    known = LabelSet(list(column.labels))
    return Counter(column.labels[known.index(cell, column.name)] for cell in column.cells)


def _renamed(column: TableColumn) -> str:
    return f", called {column.key} in the prompt" if column.key != column.name else ""


def _split(columns: Sequence[TableColumn], inputs: Sequence[TableColumn]) -> dict[str, str]:
    for holds, way in (("split", "given"), ("fold", "fold")):
        found = next((column for column in columns if column.holds == holds), None)
        if found is not None:
            split = {"split": way, "split_column": _quoted(found.name)}
            parts = {cell.lower() for cell in found.cells}
            return split | ({"valid_share": str(VALID_SHARE)} if way == "given" and not parts & VALID_NAMES else {})
    entities = [column.entity for column in inputs]
    if set(entities) == {"smiles"}:
        return {"split": "random" if _one_scaffold(inputs[0]) else "scaffold"}
    return {"split": "cluster" if len(entities) == 1 and entities[0] != "dna" else "random"}


def _one_scaffold(column: TableColumn) -> bool:
    """Whether most molecules have the same scaffold, or none, so that a scaffold split would leave a part empty."""
    from mammal.tasks.molecules.chemistry import murcko_scaffold

    counts = Counter(murcko_scaffold(cell) for cell in column.cells[:MOLECULES_PARSED])
    return counts.most_common(1)[0][1] > sum(counts.values()) / 2


def _split_note(split: dict[str, str], inputs: Sequence[TableColumn]) -> str:
    if split["split"] == "random" and len(inputs) > 1:
        return " (both values of a test pair can then also occur in training rows; split: cold prevents this)"
    if split["split"] == "random" and inputs[0].entity == "smiles":
        return " (most molecules share a scaffold, or have none, so a scaffold split would leave a part empty)"
    return ""


def _left_alone(columns: Sequence[TableColumn], used: Sequence[TableColumn], split: dict[str, str]) -> list[str]:
    names = [c.name for c in columns if c not in used and _quoted(c.name) != split.get("split_column")]
    return [f"not used: {', '.join(names)}"] if names else []


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

"""Reads generated strings from files: outputs of `mammal generate`, or any table of molecules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.errors import DataError, did_you_mean
from mammal.rows.answer_columns import ERROR
from mammal.tasks.declaration.generation_settings import SETTINGS
from mammal.tasks.molecule_sets.files import cells_as_text, molecule_column
from mammal.tasks.molecules.properties import PROPERTIES
from mammal.tasks.tables.cells import missing_column
from mammal.tasks.tables.lines import UTF_8
from mammal.tasks.tables.readers import existing_file, read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.jobs.manifest import Manifest

MADE_BY = ("task", "n", *SETTINGS, "conditions")
"""Options of the job that generated the samples; they are copied into the results."""

DRAWS = "draws"
"""Column in which `mammal generate` counts how often a sequence was sampled until it was valid."""


@dataclass(frozen=True)
class Samples:
    """A set of generated strings.

    Attributes:
        name, source, made: see `mammal.evaluation.set_results.SetResult`.
        smiles: N strings as they were generated; "" for sequences that never became valid.
        asked: name of a property -> value that was requested of each string, float64 [N], NaN if none was requested.
        draws: how often each string was sampled until it was valid, float64 [N]; None if this was not counted.
    """

    name: str
    source: str
    smiles: Sequence[str]
    made: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, np.ndarray] = field(default_factory=dict)
    draws: np.ndarray | None = None


def read_samples(
    file: Path,
    name: str,
    *,
    column: str | None = None,
    asked: Sequence[str] | None = None,
    limit: int | None = None,
    encoding: str = UTF_8,
) -> Samples:
    """Reads the samples of a file.

    Sequences that a job wrote to the error file next to the table count as empty strings.

    Args:
        file: a table of generated strings.
        name: of the set of samples.
        column: column of the strings; None: the generated column (`generated_column`), else a column found by its name.
        asked: columns with requested values, each named like a property; None: the conditions of the job that wrote
            the file.
        limit: read only this many sequences from the start, including those in the error file; None: all.
        encoding: encoding of a text file. An output of a job is always read as UTF-8.

    Returns:
        The samples, with the failed sequences at the end.

    Raises:
        DataError: the file or a column does not exist, the file has no rows, or a name in `asked` is not a property.
    """
    from mammal.jobs.manifest import Manifest
    from mammal.jobs.outputs import answered_rows

    manifest = Manifest.read(file.with_name(f"{file.name}.manifest.json"))
    options = {} if manifest is None else manifest.options
    prefix = str(options.get("prefix") or "")
    per_row = _per_row(manifest)
    failures = _failures(file, per_row, prefix)
    failed = sum(failures.values()) if limit is None else _among_first(limit, failures, per_row)
    most = None if failures else limit
    rows = read_table(existing_file(file), limit=most, encoding=encoding if manifest is None else UTF_8)
    rows = answered_rows(rows, file) if failures else rows
    rows = rows if limit is None else rows.head(limit - failed)
    if not len(rows) and not failed:
        raise DataError("holds no samples", where=str(file))
    found = column or generated_column([str(name) for name in rows.columns], file, prefix)
    smiles = cells_as_text(rows[molecule_column(rows.columns, found, file)])
    made = {key: options[key] for key in MADE_BY if options.get(key) not in (None, {}, [])}
    conditions = [name for name in options.get("conditions") or {} if name in PROPERTIES]
    wanted = {name: f"{prefix}{name}" for name in conditions} if asked is None else {name: name for name in asked}
    numbers = {name: _asked(rows, name, held, file) for name, held in wanted.items()}
    draws = _numbers(rows, f"{prefix}{DRAWS}") if f"{prefix}{DRAWS}" in rows else None
    if failed:
        smiles += [""] * failed
        numbers = {name: np.append(values_N, np.full(failed, np.nan)) for name, values_N in numbers.items()}
        draws = None if draws is None else np.append(draws, np.full(failed, np.inf))
    return Samples(name, str(file), smiles, made, numbers, draws)


def generated_column(columns: Sequence[str], file: Path, prefix: str = "") -> str | None:
    """Finds the column that a model generated: the completed text, else the generated text.

    Columns of the input that were copied into the table are ignored.

    Args:
        columns: names of all columns. Generated text is recognized by its column `score`
            (`mammal.rows.answer_columns`).
        file: the table, for the error message.
        prefix: prefix that the job added to the names of its columns.

    Returns:
        The name of the column; None if the table contains no generated column.

    Raises:
        DataError: there are several generated columns.
    """
    ours = [name for name in columns if name.startswith(prefix)]
    texts = [name for name in ours if _is(name, "text", prefix) and f"{name.removesuffix('text')}score" in ours]
    filled = [name for name in ours if _is(name, "completed", prefix)] if texts else []
    for found in (filled, texts):
        if len(found) > 1:
            hint = f"column=NAME, one of {', '.join(found)}"
            raise DataError("there are several generated columns, and none is selected", where=str(file), hint=hint)
        if found:
            return found[0]
    return None


def _is(name: str, field: str, prefix: str) -> bool:
    """Whether a column holds this field of an answer, or of one target of it."""
    return name.removeprefix(prefix) == field or name.endswith(f"_{field}")


def _per_row(manifest: Manifest | None) -> int:
    """Number of sequences for each row of a job. In a job without input each sequence is a row of its own."""
    from mammal.jobs.inputs import rows_of_nothing

    if manifest is None:
        return 1
    asked = int(manifest.options.get("n") or 1)
    return max(1, asked // (rows_of_nothing(manifest.input) or 1))


_SOME = re.compile(r"(\d+) of \d+: ")
"""Start of the error message of a row if only some of its sequences failed."""


def _failures(file: Path, per_row: int, prefix: str) -> dict[int, int]:
    """Number of a job's row, from 1 -> how many of its sequences failed."""
    from mammal.jobs.layout import ROW
    from mammal.jobs.store import find_errors

    errors = find_errors(file)
    if errors is None:
        return {}
    failed = read_table(errors)
    some = [_SOME.match(str(reason)) for reason in failed[f"{prefix}{ERROR}"]]
    counts = [per_row if one is None else int(one[1]) for one in some]
    return dict(zip(map(int, failed[f"{prefix}{ROW}"]), counts, strict=True))


def _among_first(limit: int, failures: Mapping[int, int], per_row: int) -> int:
    """How many of a job's first `limit` sequences failed; failed sequences count as the last ones of their row."""
    firsts = {row: row * per_row - failed for row, failed in failures.items()}
    return sum(max(0, min(failures[row], limit - first)) for row, first in firsts.items())


def _asked(rows: pd.DataFrame, name: str, held: str, file: Path) -> np.ndarray:
    """The requested values of a property, from their column."""
    if name not in PROPERTIES:
        hint = did_you_mean(name, PROPERTIES, noun="property")
        raise DataError(f"the property {name!r} is not computed for molecules", where=str(file), hint=hint)
    if held not in rows:
        raise missing_column(held, [str(column) for column in rows.columns])
    return _numbers(rows, held)


def _numbers(rows: pd.DataFrame, name: str) -> np.ndarray:
    """A column as numbers, NaN for empty cells."""
    import pandas as pd

    return pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=np.float64)

"""Generated strings, as files hold them: what `mammal generate` wrote, or any table of molecules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.errors import DataError, did_you_mean
from mammal.tasks.declaration.generation_settings import SETTINGS
from mammal.tasks.molecule_sets.files import cells_as_text, molecule_column
from mammal.tasks.molecules.properties import PROPERTIES
from mammal.tasks.tables.cells import missing_column
from mammal.tasks.tables.readers import existing_file, read_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.jobs.manifest import Manifest

MADE_BY = ("task", "n", *SETTINGS, "conditions")
"""What is told of the job that made the samples."""

DRAWS = "draws"
"""Column in which `mammal generate` counts how often a sequence was drawn until it was valid."""


@dataclass(frozen=True)
class Samples:
    """A set of generated strings.

    Attributes:
        name, source, made: see `mammal.evaluation.set_results.SetResult`.
        smiles: as they were generated; "" for what never became valid.
        asked: property -> what each one was asked to have, float64 [N], NaN for nothing.
        draws: how often each one was drawn; None where nobody counted.
    """

    name: str
    source: str
    smiles: Sequence[str]
    made: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, np.ndarray] = field(default_factory=dict)
    draws: np.ndarray | None = None


def read_samples(
    file: Path, name: str, *, column: str | None = None, asked: Sequence[str] | None = None, limit: int | None = None
) -> Samples:
    """The samples of a file; sequences that a job set aside, in the file of errors beside it, count as empty strings.

    Args:
        column: of the strings; default: what was generated (`generated_column`), else found by its name.
        asked: columns that hold what was asked for; default: the conditions of the job that made the file.
        limit: the first so many sequences alone, those that were set aside among them.

    Raises:
        DataError: no such file or column, no row, or a column that is called like no property.
    """
    from mammal.jobs.manifest import Manifest

    manifest = Manifest.read(file.with_name(f"{file.name}.manifest.json"))
    options = {} if manifest is None else manifest.options
    prefix = str(options.get("prefix") or "")
    per_row = _per_row(manifest)
    failures = _failures(file, per_row, prefix)
    failed = sum(failures.values()) if limit is None else _among_first(limit, failures, per_row)
    rows = read_table(existing_file(file), limit=limit)
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
    """The column of what a model wrote, whatever was copied beside it: the completed text, else the generated one; None
    in a table that no model wrote.

    Args:
        columns: of the table; answers are told by the column `score` beside them (`mammal.rows.answer_columns`).
        prefix: that the job put before the names of its columns.

    Raises:
        DataError: there are several.
    """
    ours = [name for name in columns if name.startswith(prefix)]
    texts = [name for name in ours if _is(name, "text", prefix) and f"{name.removesuffix('text')}score" in ours]
    filled = [name for name in ours if _is(name, "completed", prefix)] if texts else []
    for found in (filled, texts):
        if len(found) > 1:
            hint = f"column=NAME, one of {', '.join(found)}"
            raise DataError("can't tell which of the generated columns is to be judged", where=str(file), hint=hint)
        if found:
            return found[0]
    return None


def _is(name: str, field: str, prefix: str) -> bool:
    """Whether a column holds this field of an answer, or of one target of it."""
    return name.removeprefix(prefix) == field or name.endswith(f"_{field}")


def _per_row(manifest: Manifest | None) -> int:
    """Sequences for each row of a job; draws without an input are rows of their own."""
    from mammal.jobs.inputs import rows_of_nothing

    if manifest is None:
        return 1
    asked = int(manifest.options.get("n") or 1)
    return max(1, asked // (rows_of_nothing(manifest.input) or 1))


_SOME = re.compile(r"(\d+) of \d+: ")
"""How an error begins where some of a row's sequences failed."""


def _failures(file: Path, per_row: int, prefix: str) -> dict[int, int]:
    """Row of a job, from 1 -> how many of its sequences were set aside."""
    from mammal.jobs.layout import ROW
    from mammal.jobs.store import errors_path
    from mammal.rows.answer_columns import ERROR

    errors = errors_path(file)
    if not errors.is_file():
        return {}
    told = read_table(errors)
    some = [_SOME.match(str(reason)) for reason in told[f"{prefix}{ERROR}"]]
    counts = [per_row if one is None else int(one[1]) for one in some]
    return dict(zip(told[f"{prefix}{ROW}"].tolist(), counts, strict=True))


def _among_first(limit: int, failures: Mapping[int, int], per_row: int) -> int:
    """How many of a job's first sequences were set aside; those of a row count as its last."""
    firsts = {row: row * per_row - failed for row, failed in failures.items()}
    return sum(max(0, min(failures[row], limit - first)) for row, first in firsts.items())


def _asked(rows: pd.DataFrame, name: str, held: str, file: Path) -> np.ndarray:
    """What was asked of a property, from the column that holds it."""
    if name not in PROPERTIES:
        hint = did_you_mean(name, PROPERTIES, noun="property")
        raise DataError(f"what was asked of {name!r} can't be held against molecules", where=str(file), hint=hint)
    if held not in rows:
        raise missing_column(held, [str(column) for column in rows.columns])
    return _numbers(rows, held)


def _numbers(rows: pd.DataFrame, name: str) -> np.ndarray:
    """A column as numbers, NaN for empty cells."""
    import pandas as pd

    return pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=np.float64)

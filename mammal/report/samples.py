"""Generated strings, as files hold them: what `mammal generate` wrote, or any table of molecules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.errors import DataError, did_you_mean
from mammal.tasks.cells import missing_column
from mammal.tasks.molecule_sets.files import cells_as_text, molecule_column
from mammal.tasks.properties import PROPERTIES
from mammal.tasks.readers import existing_file, read_table

if TYPE_CHECKING:
    import pandas as pd

MADE_BY = (
    "task",
    "n",
    "seed",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "num_beams",
    "constraint",
    "scaffold",
    "guidance",
    "conditions",
)
"""What is told of the job that made the samples."""

DRAWS = "draws"
"""Column in which `mammal generate` counts how often a sequence was drawn until it was valid."""


@dataclass(frozen=True)
class Samples:
    """A set of generated strings.

    Attributes:
        name, source, made: see `mammal.report.sets.SetResult`.
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
        column: of the strings; default: found by its name.
        asked: columns that hold what was asked for; default: the conditions of the job that made the file.
        limit: the first so many rows alone.

    Raises:
        DataError: no such file or column, no row, or a column that is called like no property.
    """
    from mammal.jobs.manifest import Manifest
    from mammal.jobs.store import errors_path

    rows = read_table(existing_file(file), limit=limit)
    if not len(rows):
        raise DataError("holds no samples", where=str(file))
    smiles = cells_as_text(rows[molecule_column(rows.columns, column, file)])
    manifest = Manifest.read(file.with_name(f"{file.name}.manifest.json"))
    options = {} if manifest is None else manifest.options
    made = {key: options[key] for key in MADE_BY if options.get(key) not in (None, {}, [])}
    conditions = list(options.get("conditions") or {})
    wanted = [name for name in conditions if name in PROPERTIES] if asked is None else asked
    numbers = {name: _numbers(rows, name, file) for name in wanted}
    draws = _numbers(rows, DRAWS, file) if DRAWS in rows else None
    if limit is None and (errors := errors_path(file)).is_file():
        failed = len(read_table(errors))
        smiles += [""] * failed
        numbers = {name: np.append(values_N, np.full(failed, np.nan)) for name, values_N in numbers.items()}
        draws = None if draws is None else np.append(draws, np.full(failed, np.inf))
    return Samples(name, str(file), smiles, made, numbers, draws)


def _numbers(rows: pd.DataFrame, name: str, file: Path) -> np.ndarray:
    """A column as numbers, NaN for empty cells."""
    import pandas as pd

    if name not in PROPERTIES and name != DRAWS:
        hint = did_you_mean(name, PROPERTIES, noun="property")
        raise DataError(f"what was asked of {name!r} can't be held against molecules", where=str(file), hint=hint)
    if name not in rows:
        raise missing_column(name, [str(column) for column in rows.columns])
    return pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=np.float64)

"""Files of molecules, as jobs that look at nothing but the structure read them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mammal.errors import ConfigError
from mammal.jobs.inputs import JobInput, open_input
from mammal.jobs.workers import Crew
from mammal.tasks.tables.cells import as_text, is_missing, missing_column

CHEMICALS = "chemicals"
"""In place of a file: the compounds of that package."""
PUBCHEM_NAME = "pubchem_name"
"""Its column of names, whose own name, iupac, is that of a column that `mammal names` adds."""


@dataclass(frozen=True)
class Structures:
    """A file of molecules, open to be worked on.

    Attributes:
        given: its rows.
        column: of the structures.
        crew: the processes that work on them.
    """

    given: JobInput
    column: str
    crew: Crew


@contextmanager
def open_structures(
    input: str | os.PathLike[str], *, smiles: str | None = None, workers: int | None = None
) -> Iterator[Structures]:
    """A file of molecules and the processes that work on it, both of which end with the block.

    Args:
        input: a table; or `chemicals`, the compounds of that package.
        smiles: column of the structures; None: the one called `smiles`, in whatever case.
        workers: processes; None: one a core. 0: none but this one.

    Raises:
        ConfigError: fewer processes than none.
        DataError: there is no such file or column.
    """
    count = worker_count(workers)
    with _rows_of(input) as given, Crew(count) as crew:
        yield Structures(given, structure_column(smiles, given.schema.names), crew)


@contextmanager
def _rows_of(input: str | os.PathLike[str]) -> Iterator[JobInput]:
    if input != CHEMICALS or Path(input).exists():
        yield open_input(input)
        return
    from mammal.tasks.declaration.schema import DataConfig
    from mammal.tasks.sources import chemicals

    compounds = chemicals.load(DataConfig(source=CHEMICALS, name=chemicals.MOLECULES), None)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "chemicals.parquet"
        compounds.rename(columns={"iupac": PUBCHEM_NAME}).to_parquet(file, index=False)
        yield open_input(file)


def structure_column(asked: str | None, columns: Sequence[str]) -> str:
    """The column of the structures: the one that is asked for, else the one called `smiles` in whatever case.

    Raises:
        DataError: there is none.
    """
    if asked is not None:
        return existing(asked, columns)
    same = [column for column in columns if column.lower() == "smiles"]
    return same[0] if same else existing("smiles", columns)


def existing(column: str, columns: Sequence[str]) -> str:
    """The column, if there is one of that name.

    Raises:
        DataError: there is none; names the nearest.
    """
    if column not in columns:
        raise missing_column(column, columns)
    return column


def worker_count(asked: int | None) -> int:
    """Processes to work with: as many as are asked for, else one a core.

    Raises:
        ConfigError: fewer than none.
    """
    if asked is not None and asked < 0:
        raise ConfigError(f"workers must be 0 or more, not {asked}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if asked is None else asked


def structure_text(value: Any) -> str:
    """A cell as text, "" for an empty one."""
    return "" if is_missing(value) else as_text(value)

"""Input files of molecules, for jobs that use only the structures."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mammal.errors import ConfigError, DataError
from mammal.jobs.inputs import Given, JobInput, open_input
from mammal.jobs.sdf_format import SUFFIX as SDF
from mammal.jobs.sdf_format import SdfFormat
from mammal.rows.column_match import guessed_column
from mammal.tasks.tables.cells import as_text, is_missing, missing_column
from mammal.tasks.tables.molecule_files import BLOCK

logger = logging.getLogger(__name__)

CHEMICALS = "chemicals"
"""Name that is given instead of a file, for the compounds of the package `chemicals`."""
PUBCHEM_NAME = "pubchem_name"
"""New name of its column `iupac`, because `mammal names` adds a column of that name."""


SMILES = "smiles"
"""Default column of the structures."""


@dataclass(frozen=True)
class Structures:
    """An open file of molecules.

    Attributes:
        given: its rows.
        column: column of the structures.
    """

    given: JobInput
    column: str


@contextmanager
def open_structures(
    input: Given,
    *,
    smiles: str | None = None,
    encoding: str | None = None,
    file_column: str | None = None,
    output: object = None,
) -> Iterator[Structures]:
    """Opens a file of molecules. It can be read until the end of the `with` block.

    Args:
        input: a table, or several, as for `mammal.jobs.run_job`; or `chemicals` for the compounds of that package.
        smiles: column of the structures. None: the column called `smiles` in upper or lower case.
        encoding: encoding of a text file. None: UTF-8, or UTF-16 with a byte order mark.
        file_column: as for `mammal.jobs.inputs.open_input`.
        output: as for `mammal.jobs.inputs.open_input`.

    Raises:
        ConfigError: an encoding or a column of file names is requested for `chemicals`.
        DataError: there is no such file, column or encoding.
    """
    with _rows_of(input, encoding, file_column, output) as given:
        yield Structures(given, structure_column(smiles, given.schema.names))


@contextmanager
def _rows_of(input: Given, encoding: str | None, file_column: str | None, output: object) -> Iterator[JobInput]:
    if input != CHEMICALS or Path(CHEMICALS).exists():
        yield open_input(input, encoding, file_column=file_column, output=output)
        return
    if file_column is not None:
        raise ConfigError(f"file_column is for files, and the input is the package {CHEMICALS}", hint="leave it out")
    if encoding is not None:
        raise ConfigError(f"encoding is for a file, and the input is the package {CHEMICALS}", hint="leave it out")
    from mammal.tasks.declaration.schema import DataConfig
    from mammal.tasks.sources import chemicals

    compounds = chemicals.load(DataConfig(source=CHEMICALS, name=chemicals.MOLECULES), None)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "chemicals.parquet"
        compounds.rename(columns={"iupac": PUBCHEM_NAME}).to_parquet(file, index=False)
        yield open_input(file)


def sdf_format(output: object, given: JobInput, column: str | None) -> SdfFormat | None:
    """Returns the format of an SDF output; None if the output has another format.

    Args:
        output: path or URL of the output.
        given: the input of the job.
        column: column of the structures, from which the records are made if the input is not an SDF file. None: the
            column that `structure_column` finds.

    Raises:
        DataError: the input has no column of structures.
    """
    if not str(output).endswith(SDF):
        return None
    if BLOCK in given.schema.names:
        return SdfFormat(None)
    return SdfFormat(column or structure_column(None, given.schema.names))


def structure_column(asked: str | None, columns: Sequence[str]) -> str:
    """Returns the column of the structures.

    Args:
        asked: name of the column. None: the column `smiles`, else the only one with a name that differs in case or is a
            usual name for SMILES, which is logged.
        columns: columns of the table.

    Raises:
        DataError: the table has no such column, or several that can be meant.
    """
    if asked is not None:
        return existing(asked, columns)
    if SMILES in columns:
        return SMILES
    found = guessed_column([SMILES], "SMILES", columns, ())
    if len(found) > 1:
        hint = f"smiles={found[0]}, or another of {', '.join(found[1:])}"
        raise DataError(f"no column {SMILES!r}, and several that can be meant", hint=hint)
    if not found:
        return existing(SMILES, columns)
    logger.info("column %r is read as %r", found[0], SMILES)
    return found[0]


def existing(column: str, columns: Sequence[str]) -> str:
    """Returns `column` if it is one of `columns`.

    Raises:
        DataError: it is not. The hint names the most similar column.
    """
    if column not in columns:
        raise missing_column(column, columns)
    return column


def worker_count(asked: int | None) -> int:
    """Returns the number of processes: `asked`, or one per core if that is None.

    Raises:
        ConfigError: `asked` is negative.
    """
    if asked is not None and asked < 0:
        raise ConfigError(f"workers must be 0 or more, not {asked}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if asked is None else asked


def structure_text(value: Any) -> str:
    """Returns a cell as text, and "" for an empty cell."""
    return "" if is_missing(value) else as_text(value)

"""Opening the input of a job: one file, several, or empty rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from mammal.errors import ConfigError
from mammal.jobs.file_input import JobInput, as_table, open_file
from mammal.jobs.input_files import Given, input_files, is_one_file, named_files
from mammal.jobs.several_files import joined_inputs
from mammal.tasks.tables.encodings import checked_encoding
from mammal.tasks.tables.lines import DAMAGED
from mammal.tasks.tables.readers import CHUNK as ROWS_AT_ONCE
from mammal.tasks.tables.readers import file_format
from mammal.tasks.tables.remote import is_remote, remote_name

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Given",
    "JobInput",
    "as_table",
    "check_encoding",
    "no_input",
    "open_input",
    "rows_of_nothing",
    "whole_input",
]


def open_input(
    given: Given, encoding: str | None = None, *, file_column: str | None = None, output: object = None
) -> JobInput:
    """Opens a file, or several, as the input of a job and finds the columns.

    JSON Lines and SDF files are read completely for that, because a later row can have a new column.

    Args:
        given: file with the rows, a list of files, a pattern or a folder (`mammal.jobs.input_files`).
        encoding: encoding of text files. Default: UTF-8, or UTF-16 with a byte order mark.
        file_column: name of a column with the name of the file that a row comes from. None: there is no such column.
        output: the output of the job. If it is an SDF file, so that records keep their mol blocks, an SDF input has the
            hidden column `mammal.tasks.tables.molecule_files.BLOCK`.

    Raises:
        DataError: a file does not exist, or can't be read; or there is no such encoding, or the format of a file
            has none to choose; or several files have different columns.
        ConfigError: the input already has a column `file_column`.
    """
    files = input_files(given)
    parts = []
    for file in files:
        with file.named_in_errors():
            parts.append(open_file(file, encoding, keep_blocks=str(output).endswith(".sdf")))
    if is_one_file(given) and file_column is None:
        return parts[0]
    return joined_inputs(parts, file_column)


def whole_input(given: Given, encoding: str | None = None, file_column: str | None = None) -> Path | pd.DataFrame:
    """Returns the path of a local file, and the rows of any other input as one table.

    Args:
        given: as for `open_input`.
        encoding: as for `open_input`.
        file_column: as for `open_input`.

    Returns:
        The path; or a table, whose column `DAMAGED` has the reasons of damaged lines.

    Raises:
        DataError: as for `open_input`.
        ConfigError: as for `open_input`.
    """
    if file_column is None and is_one_file(given) and not is_remote(given):
        assert isinstance(given, str | os.PathLike), "a list is more than one file"
        return Path(given).expanduser()
    import pandas as pd

    opened = open_input(given, encoding, file_column=file_column)
    frames = []
    for shard in opened.shards(ROWS_AT_ONCE):
        reasons = [shard.damaged.get(place) for place in range(shard.rows)]
        frames.append(shard.table.to_pandas().assign(**{DAMAGED: pd.Series(reasons, dtype=object)}))
    return pd.concat(frames, ignore_index=True) if frames else opened.schema.empty_table().to_pandas()


def check_encoding(encoding: str | None, given: Given | None) -> None:
    """Checks the encoding of an input, before a model is opened for it.

    Args:
        encoding: encoding of a text file; None: none is given.
        given: file with the rows, or several; None: there is none.

    Raises:
        ConfigError: there is no file.
        DataError: there is no such encoding, or the format of the file has none to choose.
    """
    if encoding is not None and given is None:
        raise ConfigError("encoding is for an input file, and there is none", hint="leave it out")
    if encoding is not None and given is not None:
        for place in named_files(given):
            name = remote_name(str(place)) if is_remote(place) else os.fspath(place)
            if not Path(name).is_dir() and not name.endswith("*"):  # the files of a folder are checked when opened
                checked_encoding(encoding, file_format(name), name)


_NOTHING = "rows without columns"


def no_input(rows: int) -> JobInput:
    """Returns an input of `rows` empty rows, for prompts that read no column."""
    return JobInput(pa.schema([]), f"{rows} {_NOTHING}", rows=rows)


def rows_of_nothing(fingerprint: str) -> int | None:
    """Returns the number of rows for a fingerprint that `no_input` made, and None for the fingerprint of a file."""
    rows, _, rest = fingerprint.partition(" ")
    return int(rows) if rest == _NOTHING else None

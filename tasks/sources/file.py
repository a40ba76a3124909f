"""`source: file`: the user's own table (`path`), or one table for each part of the split (`files`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import TaskError
from mammal.tasks.sources.local import find_file
from mammal.tasks.splits.split import PARTS, SPLIT_COLUMN
from mammal.tasks.tables.encodings import checked_encoding
from mammal.tasks.tables.lines import UTF_8
from mammal.tasks.tables.readers import file_format, read_table
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """The rows of `data.path`, or those of `data.files` with a column `split` that holds the part of each file.

    Raises:
        TaskError: both or neither of the two are given, or a part is unknown.
        DataError: a file does not exist or can't be read.
    """
    if data.path and data.files:
        raise TaskError("data.path and data.files are both given", hint="keep one of them")
    if data.path:
        return read_declared(find_file(data.path, root), data.limit, data.encoding)
    if not data.files:
        raise TaskError("source file needs a path", hint="data.path=my.csv, or data.files={train: …, test: …}")
    return load_parts({part: find_file(path, root) for part, path in data.files.items()}, data.limit, data.encoding)


def read_declared(file: Path, limit: int | None = None, encoding: str | None = None) -> pd.DataFrame:
    """Reads a file as its task declares.

    Args:
        file: the file.
        limit: maximum number of rows. Default: all.
        encoding: encoding of a text file. Default: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        DataError: the file can't be read, or an encoding is declared and the format has none to choose.
    """
    name = checked_encoding(encoding, file_format(file), file)
    return read_table(file, limit=limit, encoding=name or UTF_8)


def load_parts(files: dict[str, Path], limit: int | None = None, encoding: str | None = None) -> pd.DataFrame:
    """Reads one table for each part of a split, and returns all rows with the part in a column `split`.

    Args:
        files: part -> file.
        limit: maximum number of rows of each file. Default: all.
        encoding: encoding of text files. Default: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        TaskError: a part is not train, valid or test.
        DataError: a file can't be read.
    """
    import pandas as pd

    frames = []
    for part, file in files.items():
        if part not in PARTS:
            raise TaskError(f"data.files has a part {part!r}", hint=did_you_mean(part, PARTS, noun="part"))
        frames.append(read_declared(file, limit, encoding).assign(**{SPLIT_COLUMN: part}))
    return pd.concat(frames, ignore_index=True)

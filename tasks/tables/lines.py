"""Reading of files with one record per line: delimited tables and JSON lines.

A line is damaged if it has more fields than the header, or if it is not a JSON object. Missing fields at the end of a
line become empty cells. By default a damaged line raises an error. If damaged lines are kept, each becomes a row with
empty cells, and the column `DAMAGED` gives the reason; so the table has a row for every line of the file.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mammal.tasks.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

DAMAGED = "\0damaged"
"""Column with the reason why a line is damaged, None for sound lines. No column of a file can have this name."""

LARGEST_CELL = 1 << 28
"""Maximum number of characters of a cell: an unclosed quote must not read the whole file into one cell."""

GZIPPED = (".gz", ".bgz")
"""Suffixes of gzipped files; bgzip is gzip in blocks."""

Lines = Callable[[Path, int, bool], Iterator["pd.DataFrame"]]
"""Reader of a file: (file, rows per table, whether damaged lines are kept) -> tables."""

_Numbered = Iterator[tuple[int, Any]]
"""Pairs of the line number, from 1, and the content of the line."""


def delimited(delimiter: str) -> Lines:
    """Returns a reader of tables with a header; cells are text, as written in the file.

    Args:
        delimiter: the character between two cells, such as `,` or a tab.
    """

    def read(file: Path, chunk: int, keep_damaged: bool) -> Iterator[pd.DataFrame]:
        import pandas as pd

        with open_text(file, newline="") as stream:
            records = _fields(stream, delimiter, file)
            first = next(records, None)
            if first is None:
                raise DataError("the file is empty", where=str(file))
            second = list(islice(records, 1))
            # R writes row names as a first column that the header does not name.
            named = len(second) > 0 and len(second[0][1]) == len(first[1]) + 1
            names = column_names(first[1])
            rows = _rows(chain(second, records), len(names), int(named), file, keep_damaged)
            empty = True
            while taken := list(islice(rows, chunk)):
                empty = False
                frame = pd.DataFrame([cells for cells, _ in taken], columns=names, dtype=str)
                yield with_reasons(frame, [reason for _, reason in taken], keep_damaged)
            if empty:
                yield with_reasons(pd.DataFrame(columns=names, dtype=str), [], keep_damaged)

    return read


def json_lines(file: Path, chunk: int, keep_damaged: bool) -> Iterator[pd.DataFrame]:
    """Reads a file with one JSON object per line; blank lines are skipped.

    Args:
        file: the file.
        chunk: number of rows of each table.
        keep_damaged: return damaged lines as rows with a reason in `DAMAGED`, instead of raising an error.

    Raises:
        DataError: a damaged line, unless `keep_damaged`.
    """
    import pandas as pd

    with open_text(file) as stream:
        records = _objects(stream, file, keep_damaged)
        while taken := list(islice(records, chunk)):
            yield with_reasons(pd.DataFrame([r for r, _ in taken]), [reason for _, reason in taken], keep_damaged)


def open_text(file: Path, newline: str | None = None) -> IO[str]:
    """Opens a UTF-8 text file, gzipped or not; a byte order mark is skipped. `newline` is as for `open`."""
    if file.suffix in GZIPPED:
        return gzip.open(file, "rt", encoding="utf-8-sig", newline=newline)
    return file.open(encoding="utf-8-sig", newline=newline)


def column_names(header: list[str]) -> list[str]:
    """Returns the names of the columns; repeated names get a number, as in pandas (`x`, `x.1`)."""
    names: list[str] = []
    for name in header:
        unique, count = name, 0
        while unique in names:
            count += 1
            unique = f"{name}.{count}"
        names.append(unique)
    return names


def _fields(stream: IO[str], delimiter: str, file: Path) -> _Numbered:
    """Cells of each record, with the number of its first line; a quoted cell may span several lines.

    Raises:
        DataError: a quote is never closed.
    """
    csv.field_size_limit(LARGEST_CELL)  # holds for the whole process; the default is too small for a gene's sequence
    ended = False

    def lines() -> Iterator[str]:
        nonlocal ended
        yield from stream
        ended = True

    reader = csv.reader(lines(), delimiter=delimiter)
    while True:
        begun = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(str(error), where=f"{file}:{begun}") from error
        if ended:
            raise DataError("a quote that is opened here is never closed", where=f"{file}:{begun}")
        if fields:
            yield begun, fields


def _rows(
    records: _Numbered, width: int, named: int, file: Path, keep_damaged: bool
) -> Iterator[tuple[list[str], str | None]]:
    """Cells of each row, as many as the header has, and the reason if the line is damaged."""
    for line, fields in records:
        cells, reason = fields[named:], None
        if len(cells) > width:
            reason = f"{len(cells)} fields where the header has {width}"
            if not keep_damaged:
                raise DataError(reason, where=f"{file}:{line}", hint="quote cells that hold the delimiter")
            cells, reason = [], f"line {line}: {reason}"
        yield cells + [""] * (width - len(cells)), reason


def _objects(stream: IO[str], file: Path, keep_damaged: bool) -> Iterator[tuple[dict[str, Any], str | None]]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        record, reason = _object(line)
        if reason is not None and not keep_damaged:
            raise DataError(reason, where=f"{file}:{number}")
        yield record, None if reason is None else f"line {number}: {reason}"


def _object(line: str) -> tuple[dict[str, Any], str | None]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        return {}, f"not JSON: {error.msg} at character {error.pos + 1}"
    return (record, None) if isinstance(record, dict) else ({}, "a line holds one JSON object")


def with_reasons(frame: pd.DataFrame, reasons: list[str | None], keep_damaged: bool) -> pd.DataFrame:
    if not keep_damaged:
        return frame
    import pandas as pd

    return frame.assign(**{DAMAGED: pd.Series(reasons, dtype=object)})

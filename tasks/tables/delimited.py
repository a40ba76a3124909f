"""Reading of tables with a header and a delimiter. Cells are text, as written."""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, NamedTuple

from mammal.tasks.errors import DataError
from mammal.tasks.limits import LONGEST_LINE, long_cell
from mammal.tasks.tables.lines import (
    Reader,
    Reading,
    bounded_lines,
    check_distinct,
    column_names,
    unreadable,
    with_reasons,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

LOOKED_AT = 20
"""Number of records that are checked to decide whether a file is delimited by semicolons."""

COMPARED = 100_000
"""Maximum number of first fields that are compared to detect row names, which differ between rows."""

_Numbered = Iterator[tuple[int, list[str]]]
"""Pairs of the number of a record's first line, from 1, and its fields."""

_ALL = slice(None)


DELIMITERS = {"csv": ",", "tsv": "\t", "tab": "\t"}
"""Suffix -> the character between two cells."""


class TextRows(NamedTuple):
    """Rows of a delimited file.

    Attributes:
        names: names of the columns.
        cells: cells of each row, as many as there are columns.
        reasons: for each row the reason if its line is damaged, else None.
    """

    names: list[str]
    cells: list[list[str]]
    reasons: list[str | None]


def delimited(delimiter: str) -> Reader:
    """Returns a reader of tables with a header; cells are text, as written in the file.

    Args:
        delimiter: as for `text_rows`.
    """

    def read(reading: Reading) -> Iterator[pd.DataFrame]:
        import pandas as pd

        for rows in text_rows(reading, delimiter):
            frame = pd.DataFrame(rows.cells, columns=rows.names, dtype=str)
            yield with_reasons(frame, rows.reasons, reading.keep_damaged)

    return read


def text_rows(reading: Reading, delimiter: str) -> Iterator[TextRows]:
    """Reads a table with a header in chunks. A table without rows gives one chunk without rows.

    Args:
        reading: the file.
        delimiter: the character between two cells, such as `,` or a tab. With `,`, files with `;` are recognised and
            read, too, as European spreadsheets write them.
    """
    chosen = ";" if delimiter == "," and _has_semicolons(reading) else delimiter
    if chosen != delimiter:
        reading.notices.add("the header has no comma, so the file is read with the delimiter ';'")
    with reading.open(newline="") as stream:
        records = _fields(stream, chosen, reading.file, reading.notices.add_blank)
        header = next(records, None)
        if header is None:
            raise DataError("the file is empty", where=str(reading.file))
        names = _names(*header, reading)
        second = list(islice(records, 1))
        wide = len(second) > 0 and len(second[0][1]) == len(names) + 1
        kept = _kept_fields(reading, chosen, len(names)) if wide else _ALL
        rows = _rows(chain(second, records), names, kept, reading)
        empty = True
        while (taken := list(islice(rows, reading.chunk))) or empty:
            empty = False
            yield TextRows(names, [cells for cells, _ in taken], [reason for _, reason in taken])


def _names(line: int, header: list[str], reading: Reading) -> list[str]:
    """Names of the columns; columns without a name get a number."""
    where = f"{reading.file}:{line}"
    if reason := unreadable("".join(header), reading.encoding):
        raise DataError(reason, where=where, hint="give its encoding, such as latin-1, or save the file as UTF-8")
    check_distinct(header, where)
    return column_names(header)


def _has_semicolons(reading: Reading) -> bool:
    """Whether the header has semicolons and no commas, and most of the first records have as many fields as it."""
    with reading.open(newline="") as stream:
        _, header = next(_fields(stream, ",", reading.file), (1, [""]))
    if len(header) != 1 or "\t" in header[0] or ";" not in header[0]:
        return False
    with reading.open(newline="") as stream:
        first, *others = islice(_fields(stream, ";", reading.file), LOOKED_AT + 1)
    alike = sum(len(fields) == len(first[1]) for _, fields in others)
    if len(first[1]) > 1 and 2 * alike >= len(others):
        return True
    if any(len(fields) > 1 for _, fields in others):
        what = "can't tell the delimiter: the header has no comma, and rows differ in their number of semicolons"
        raise DataError(what, where=str(reading.file), hint="save it with commas, quoting cells that hold one")
    return False


def _kept_fields(reading: Reading, delimiter: str, width: int) -> slice:
    """The fields of records that are cells, for a file with a first record that has one field more than the header.

    R writes row names as a first column that the header does not name: then every record has one field more, and begins
    with a name. Some programs end every record with a delimiter. Otherwise only single records are damaged, and every
    field is a cell.
    """
    names: set[str] = set()
    named = trailing = True
    with reading.open(newline="") as stream, closing(_fields(stream, delimiter, reading.file)) as records:
        for count, (_, fields) in enumerate(islice(records, 1, None)):
            name = fields[0].strip()
            named &= name != "" and name not in names
            trailing &= not fields[-1].strip()
            if len(fields) != width + 1 or not (named or trailing):
                return _ALL
            if count < COMPARED:
                names.add(name)
    if trailing:
        reading.notices.add("every record ends with a delimiter, which is not read as a cell")
        return slice(width)
    reading.notices.add("every record has one field more than the header: the first is taken for the name of the row")
    return slice(1, None)


def _fields(
    stream: IO[str], delimiter: str, file: Path, blank: Callable[[int], None] | None = None
) -> Generator[tuple[int, list[str]], None, None]:
    """Fields of each record, with the number of its first line; a quoted cell may span several lines. Blank lines are
    left out; `blank` is called with the number of the first one between two records.

    Raises:
        DataError: a quote is never closed, or not within `LONGEST_LINE` characters.
    """
    csv.field_size_limit(LONGEST_LINE)  # holds for the whole process; the default is too small for a gene's sequence
    ended = False

    def lines() -> Iterator[str]:
        nonlocal ended
        yield from bounded_lines(stream)
        ended = True

    reader = csv.reader(lines(), delimiter=delimiter)
    header, left_out = True, 0
    while True:
        begun = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # a single line is never longer, so a quote spans lines
            what = f"a quote that is opened here is not closed within {LONGEST_LINE:,} characters"
            raise DataError(what, where=f"{file}:{begun}", hint="close it, or write two quotes") from error
        if ended:
            raise DataError("a quote that is opened here is never closed", where=f"{file}:{begun}")
        if not fields or (len(fields) == 1 and fields[0].isspace()):
            left_out = left_out or begun
            continue
        if left_out and blank is not None and not header:
            blank(left_out)
        header, left_out = False, 0
        yield begun, fields


def _rows(
    records: _Numbered, names: list[str], kept: slice, reading: Reading
) -> Iterator[tuple[list[str], str | None]]:
    """Cells of each row, as many as the header has, and the reason if the line is damaged."""
    width = len(names)
    for line, fields in records:
        cells = fields[kept]
        text = "".join(cells)
        reason = unreadable(text, reading.encoding)
        hint = "give the file's encoding, such as latin-1"
        if reason is None and (reason := long_cell(names, cells, len(text))):
            hint = "shorten the cell, or remove the row"
        if reason is None and len(cells) > width:
            reason = f"{len(cells)} fields where the header has {width}"
            hint = "quote cells that hold the delimiter"
            if not any(cells[width:]):
                reason = f"{reason}: the line ends with a delimiter"
        reading.require(reason, line, hint)
        if reason is not None:
            cells, reason = [], f"line {line}: {reason}"
        yield cells + [""] * (width - len(cells)), reason

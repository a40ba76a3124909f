"""Reading of text files record by record: opening of files, and handling of damaged records.

A record is damaged if it has more fields than the header, if it is not a JSON object, or if it has a byte that is not
text in the encoding of the file. Missing fields at the end of a line become empty cells. By default a damaged record
raises an error. If damaged records are kept, each becomes a row with what could be read of it, and the column `DAMAGED`
gives the reason; so the table has a row for every record of the file.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, takewhile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from mammal.tasks.errors import DataError
from mammal.tasks.limits import LONGEST_CELL, LONGEST_LINE, too_long
from mammal.tasks.tables.compression import open_bytes
from mammal.tasks.tables.encodings import codec_name
from mammal.tasks.tables.notices import FileNotices

if TYPE_CHECKING:
    import pandas as pd

DAMAGED = "\0damaged"
"""Column with the reason why a line is damaged, None for sound lines. No column of a file can have this name."""

UTF_8 = "utf-8"
ESCAPED = "surrogateescape"
"""Error handler of decoding that turns each undecodable byte into one character, which `undecodable` finds."""

_ESCAPES = re.compile("[\udc80-\udcff]")
_OVERLONG = "\0overlong line of "
"""Stands for the text of a line that is longer than `LONGEST_LINE`; the number of its characters follows."""
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Reading(NamedTuple):
    """A file to read, with the settings of reading.

    Attributes:
        file: its path.
        chunk: number of rows of a frame.
        keep_damaged: whether damaged records are kept as rows, with a column `DAMAGED`; otherwise they are errors.
        encoding: encoding of text formats.
        notices: collects notices about readable rows.
        keep_blocks: whether records of an SDF file have a column with their mol block.
    """

    file: Path
    chunk: int
    keep_damaged: bool
    encoding: str
    notices: FileNotices
    keep_blocks: bool = False

    def open(self, newline: str | None = None) -> IO[str]:
        """Opens the file as text; undecodable bytes become characters that `undecodable` finds."""
        return open_text(self.file, newline, encoding=self.encoding, errors=ESCAPED)

    def require(self, reason: str | None, line: int, hint: str | None = None) -> None:
        """Raises a DataError for a damaged record if such records are not kept; `line`: where it begins, from 1."""
        if reason is not None and not self.keep_damaged:
            raise DataError(reason, where=f"{self.file}:{line}", hint=hint)

    def frames(self, records: Iterable[tuple[dict[str, Any], str | None]]) -> Iterator[pd.DataFrame]:
        """Collects records, each with the reason if it could not be read (else None), to frames of `chunk` rows."""
        import pandas as pd

        remaining = iter(records)
        while taken := list(islice(remaining, self.chunk)):
            frame = pd.DataFrame([record for record, _ in taken], index=range(len(taken)))
            yield with_reasons(frame, [reason for _, reason in taken], self.keep_damaged)


Reader = Callable[[Reading], Iterator["pd.DataFrame"]]


def open_text(file: Path, newline: str | None = None, *, encoding: str = UTF_8, errors: str = "strict") -> IO[str]:
    """Opens a text file, compressed or not. A byte order mark is not part of the text.

    Args:
        file: the file.
        newline: as for `open`.
        encoding: any encoding of Python. A file that begins with a byte order mark of UTF-16 is always read as UTF-16.
        errors: as for `open`.

    Raises:
        DataError: the encoding is unknown; the hint gives the nearest names.
    """
    name = codec_name(encoding)
    if name in (UTF_8, "utf-8-sig"):
        with open_bytes(file) as stream:
            name = "utf-16" if stream.read(2) in _UTF_16 else "utf-8-sig"
    return io.TextIOWrapper(open_bytes(file), encoding=name, newline=newline, errors=errors)


def bounded_lines(stream: IO[str]) -> Iterator[str]:
    """Yields the lines of a stream. Text that replaces a longer line than `LONGEST_LINE` is found by `overlong`.

    The replacement has the quotes that a reader of delimited text needs to find the end of a quoted cell.
    """
    readline, most = stream.readline, LONGEST_LINE + 1
    while line := readline(most):
        if len(line) <= LONGEST_LINE or line.endswith("\n"):
            yield line
            continue
        length, quotes = len(line), line.count('"')
        while not line.endswith("\n") and (line := readline(most)):
            length, quotes = length + len(line), quotes + line.count('"')
        yield f"{chr(34) * (quotes % 2)}{_OVERLONG}{length}\n"


def overlong(text: str) -> str | None:
    """Returns the reason if text has a replaced line of `bounded_lines`, else None."""
    if _OVERLONG not in text:
        return None
    length = text.partition(_OVERLONG)[2].partition("\n")[0]
    digits = "".join(takewhile(str.isdigit, length))
    return too_long("the line", int(digits or LONGEST_LINE + 1), LONGEST_LINE)


def unreadable(text: str, encoding: str = UTF_8) -> str | None:
    """Returns the reason why text of `bounded_lines` can't be read: it is too long, or not valid in the encoding.

    Args:
        text: one or more lines, or cells of them.
        encoding: encoding of the file.
    """
    return overlong(text) or undecodable(text, encoding)


def undecodable(text: str, encoding: str = UTF_8) -> str | None:
    """Returns the reason why text that was opened with `ESCAPED` is not valid in the encoding; None if it is valid."""
    found = _ESCAPES.search(text)
    return None if found is None else f"not {encoding.upper()} text: byte 0x{ord(found[0]) - 0xDC00:02x}"


def json_lines(reading: Reading) -> Iterator[pd.DataFrame]:
    """Reads a file with one JSON object per line; blank lines are skipped."""
    with reading.open() as stream:
        yield from reading.frames(_objects(stream, reading))


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


def check_distinct(names: Iterable[object], where: str | None = None) -> None:
    """Raises an error if two columns of a table have the same name, as only one of them could be read.

    Args:
        names: names of the columns, in their order. Several may be empty.
        where: the file or place, for the error message.

    Raises:
        DataError: two columns have the same name; the message gives it and both positions, counted from 1.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(map(str, names), start=1):
        if name and name in places:
            what = f"columns {places[name]} and {place} are both called {name!r}"
            raise DataError(what, where=where, hint="rename or remove one of them")
        places[name] = place


def _objects(stream: IO[str], reading: Reading) -> Iterator[tuple[dict[str, Any], str | None]]:
    for number, line in enumerate(bounded_lines(stream), start=1):
        if not line.strip():
            continue
        reason = unreadable(line, reading.encoding)
        record, reason = _object(line) if reason is None else ({}, reason)
        reading.require(reason, number)
        yield record, None if reason is None else f"line {number}: {reason}"


class _RepeatedKeyError(ValueError):
    """A JSON object has a key twice."""


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(next(key for key in keys if keys.count(key) > 1))
    return record


def _object(line: str) -> tuple[dict[str, Any], str | None]:
    try:
        record = json.loads(line, object_pairs_hook=_distinct_keys)
    except json.JSONDecodeError as error:
        return {}, f"not JSON: {error.msg} at character {error.pos + 1}"
    except _RepeatedKeyError as error:
        return {}, f"the key {str(error)!r} occurs twice"
    except RecursionError:
        return {}, "its lists or objects are nested too deeply"
    except ValueError as error:  # an integer of thousands of digits
        return {}, f"not JSON: {error}"
    if not isinstance(record, dict):
        return {}, "a line holds one JSON object"
    reason = _long_value(record) if len(line) > LONGEST_CELL else None
    return (record, None) if reason is None else ({}, reason)


def _long_value(record: dict[str, Any]) -> str | None:
    texts = ((key, value) for key, value in record.items() if isinstance(value, str))
    return next((why for key, text in texts if (why := too_long(f"column {key!r}", len(text), LONGEST_CELL))), None)


def with_reasons(frame: pd.DataFrame, reasons: list[str | None], keep_damaged: bool) -> pd.DataFrame:
    """Adds the column `DAMAGED` with the reasons to a frame, if damaged records are kept."""
    if not keep_damaged:
        return frame
    import pandas as pd

    return frame.assign(**{DAMAGED: pd.Series(reasons, dtype=object)})

"""Reading of files of molecules: SDF records with their tags, and lines of SMILES.

Some records describe more than one stereoisomer. They have groups of centres of which only the relative configuration
is known, written in V3000 as `STERAC` and `STEREL`, in CXSMILES as `&1:` and `o1:`. A SMILES has no such groups and
describes one isomer, so a notice lists these rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mammal.tasks.limits import LONGEST_CELL, LONGEST_LINE, MOST_ATOMS, too_long
from mammal.tasks.molecules.chemistry import as_smiles, has_open_stereo, parse_block
from mammal.tasks.tables.lines import Reading, bounded_lines, unreadable

if TYPE_CHECKING:
    import pandas as pd

STRUCTURE = ("smiles", "name")
"""Columns of each molecule. A tag with one of these names gets the column `NAME_tag`."""

BLOCK = "\0block"
"""Column with the mol block of each record, if a caller wants it. No column of a file can have this name."""

OPEN_STEREO = "with several stereoisomers (racemic or relative centres), read as the one that is drawn, as absolute"

_END = "$$$$"
_TAG = re.compile(r">.*?<(?P<name>[^<>]*)>")
_HEADING = 4
"""Number of lines above the atoms, which may have any content."""
_OPEN_GROUP = re.compile(r"\|(?:[^|]*,)?(?:[&o]\d+:|r[:,|])[^|]*")
"""CXSMILES: `&1:` and `o1:` are groups of centres, `r` says that all centres are relative."""


def sdf(reading: Reading) -> Iterator[pd.DataFrame]:
    """Reads an SDF file: columns `smiles` (canonical), `name`, and the tags as text.

    With `Reading.keep_blocks` the column `BLOCK` has the mol blocks as they are. Records end at lines `$$$$`. A record
    that RDKit can't read keeps its name and tags; its `smiles` is "".
    """
    with reading.open() as stream:
        yield from reading.frames(_molecules(bounded_lines(stream), reading))


def smi(reading: Reading) -> Iterator[pd.DataFrame]:
    """Reads lines of SMILES: column `smiles` is a line up to the first blank, `name` is the rest."""
    with reading.open() as stream:
        yield from reading.frames(_smiles(bounded_lines(stream), reading))


def _molecules(lines: Iterable[str], reading: Reading) -> Iterator[tuple[dict[str, Any], str | None]]:
    for number, (line, record, length) in enumerate(_records(lines), start=1):
        row, reason = _molecule(record, reading, number)
        reason = too_long("the record", length, LONGEST_LINE) or reason
        yield row, None if reason is None else f"line {line}: {reason}"


def _records(lines: Iterable[str]) -> Iterator[tuple[int, list[str], int]]:
    """For each record, the number of its first line, from 1, its lines and its number of characters; blank lines after
    the last `$$$$` are skipped. Of a record that is too long, only the first line is kept."""
    record: list[str] = []
    begun, length = 1, 0
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        if text.startswith(_END):
            yield begun, record, length
            record, begun, length = [], number + 1, 0
            continue
        length += len(line)
        if length <= LONGEST_LINE:
            record.append(text)
        else:
            del record[1:]
    if any(text.strip() for text in record):
        yield begun, record, length


def _molecule(record: list[str], reading: Reading, number: int) -> tuple[dict[str, Any], str | None]:
    """The row of a record, and the reason if its molecule can't be read."""
    end = next((place + 1 for place, text in enumerate(record) if text.startswith("M  END")), None)
    start = _HEADING if end is None else end
    end = next((place for place in range(start, len(record)) if _TAG.match(record[place])), len(record))
    row: dict[str, Any] = {"smiles": "", "name": record[0].strip() if record else ""}
    tags, reason = _tags(record[end:])
    row |= {_free_name(name, tags): value for name, value in tags.items()}
    if reading.keep_blocks:
        row[BLOCK] = "\n".join(record[:end])
    if damage := unreadable("".join(record), reading.encoding):
        return _decoded(row, reading.encoding), damage
    if damage := _too_large(record[:end], row):
        return {name: text if len(text) <= LONGEST_CELL else "" for name, text in row.items()}, damage
    if reason is not None:
        return row, reason
    if not any(text.strip() for text in record):
        return row, "the record is empty"
    molecule, reason = parse_block("\n".join(record[:end]) + "\n")
    if molecule is not None and (reason := too_long("the molecule", molecule.GetNumAtoms(), MOST_ATOMS, "atoms")):
        return row, reason
    if molecule is not None:
        row["smiles"] = as_smiles(molecule)
        if has_open_stereo(molecule):
            reading.notices.add_row(number, OPEN_STEREO)
    return row, reason


def _too_large(block: list[str], row: dict[str, Any]) -> str | None:
    """The reason if a mol block or the value of a tag is too long to be read."""
    reason = too_long("the mol block", sum(map(len, block)), LONGEST_CELL)
    long = (too_long(f"the tag {name!r}", len(value), LONGEST_CELL) for name, value in row.items())
    return reason or next(filter(None, long), None)


def _decoded(row: dict[str, Any], encoding: str) -> dict[str, Any]:
    """The row with empty cells in place of those that are not text, and without columns whose name is not."""
    cells = {name: "" if unreadable(value, encoding) else value for name, value in row.items()}
    return {name: value for name, value in cells.items() if not unreadable(name, encoding)}


def _tags(lines: list[str]) -> tuple[dict[str, str], str | None]:
    """Tags with their values, and a reason if they are not valid. A value ends at a blank line, or at the next tag.

    A tag without a name gets the name `tag_1`, `tag_2`, … by its position in the record.
    """
    found: dict[str, list[str]] = {}
    repeated: str | None = None
    value: list[str] | None = None
    count = 0
    for text in lines:
        if match := _TAG.match(text):
            count += 1
            name = match["name"].strip() or f"tag_{count}"
            repeated = name if name in found else repeated
            value = found.setdefault(name, [])
        elif not text:
            value = None
        elif value is not None:
            value.append(text)
    reason = None if repeated is None else f"the tag {repeated!r} occurs twice"
    return {name: "\n".join(texts) for name, texts in found.items()}, reason


def _free_name(name: str, tags: Iterable[str]) -> str:
    """The column of a tag: its name, unless that is a column of the structure."""
    column = name
    while column in STRUCTURE or (column != name and column in tags):
        column += "_tag"
    return column


def _smiles(lines: Iterable[str], reading: Reading) -> Iterator[tuple[dict[str, Any], str | None]]:
    count = left_out = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            left_out = left_out or number
            continue
        if left_out and count:
            reading.notices.add_blank(left_out)
        count, left_out = count + 1, 0
        reason = unreadable(line, reading.encoding) or too_long("the line", len(line), LONGEST_CELL)
        reading.require(reason, number)
        if reason is not None:
            yield dict.fromkeys(STRUCTURE, ""), f"line {number}: {reason}"
            continue
        smiles, _, name = line.strip().replace("\t", " ").partition(" ")
        if _OPEN_GROUP.match(name.strip()):
            reading.notices.add_row(count, OPEN_STEREO)
        yield {"smiles": smiles, "name": name.strip()}, None

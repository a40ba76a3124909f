"""How many rows a text file has, without making rows of them."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from mammal.tasks.tables.delimited import DELIMITERS
from mammal.tasks.tables.lines import ESCAPED, UTF_8, bounded_lines, open_text
from mammal.tasks.tables.readers import FASTA, file_format

_BLANK = ("\n", "\r", "\r\n")


def count_rows(file: Path, encoding: str = UTF_8) -> int | None:
    """The number of rows of a text file.

    Args:
        file: the file, whose name says its format.
        encoding: encoding of its text.

    Returns:
        The number; None for formats that are not text, and for files that can't be counted. The reader of the file says
        what is wrong with them.
    """
    form = file_format(file)
    try:
        with open_text(file, newline="", encoding=encoding, errors=ESCAPED) as stream:
            lines = bounded_lines(stream)
            if form in DELIMITERS:
                return max(0, _records(lines, DELIMITERS[form]) - 1)
            if form in ("smi", "smiles"):
                return sum(1 for line in lines if line.strip())
            if form in FASTA:
                return sum(line.lstrip().startswith(">") for line in lines)
            if form == "vcf":
                return sum(not line.startswith("#") and line not in _BLANK for line in lines)
    except (OSError, EOFError, zlib.error, csv.Error, UnicodeError):
        pass
    return None


def _records(lines: Iterator[str], delimiter: str) -> int:
    """Records of a delimited table; a quoted cell may run over several lines."""
    count = 0
    for line in lines:
        if not count and delimiter == "," and ";" in line and "," not in line:
            delimiter = ";"  # as European spreadsheets write tables
        if line in _BLANK:
            continue
        if '"' in line:
            next(csv.reader(chain([line], lines), delimiter=delimiter), None)
        count += 1
    return count

"""Reading of files as tables, in chunks and in the order of the file.

    csv tsv tab   delimited, with a header        parquet   Apache Parquet          jsonl   one JSON object per line
    sdf           molecules with properties       smi       SMILES, blank, name     fasta   id, description, sequence
    h5ad          cells with genes ranked by expression (`mammal.tasks.tables.h5ad`)
    vcf bcf       variants, every cell as text (`mammal.tasks.tables.variant_files`)

Each may be compressed (`.csv.gz`, `.csv.bgz`, `.csv.zst`, `.csv.bz2`), except BCF. Cells of delimited files stay text
exactly as written, because `NA` can be a peptide and `007` an identifier; an empty cell is "". Rows are counted from 1,
without the header and blank lines. Rows beyond the limits of `mammal.tasks.limits` are damaged records.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.tasks.errors import DataError
from mammal.tasks.limits import LONGEST_CELL, too_long
from mammal.tasks.tables.compression import bare_name, compression_of, damage_as_data_errors, uncompressed
from mammal.tasks.tables.delimited import DELIMITERS, TextRows, delimited, text_rows
from mammal.tasks.tables.lines import (
    DAMAGED,
    UTF_8,
    Reader,
    Reading,
    bounded_lines,
    json_lines,
    unreadable,
    with_reasons,
)
from mammal.tasks.tables.molecule_files import sdf, smi
from mammal.tasks.tables.notices import FileNotices
from mammal.tokenization.errors import likely_names

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

CHUNK = 10_000
"""Default number of rows of a table that is read at once."""


def read_table(
    path: str | Path, *, limit: int | None = None, encoding: str = UTF_8, keep_damaged: bool = False
) -> pd.DataFrame:
    """Reads a whole file as one data frame, with a row for each record.

    A record that can't be read becomes a row without content, so that rows keep their numbers. A warning is logged with
    the number of such records, and the first one with its reason. If no record can be read, an error is raised.

    Args:
        path: the file: csv, tsv, parquet, jsonl, sdf, smi, fasta, h5ad or vcf; also compressed.
        limit: maximum number of rows. Default: all.
        encoding: encoding of text formats. Files in UTF-8 or UTF-16 with a byte order mark are recognised. Default:
            UTF-8.
        keep_damaged: return the reasons of such records in a column `DAMAGED` instead of logging a warning.

    Raises:
        DataError: the file does not exist, the format is unknown, the contents can't be read, or two columns have the
            same name.
    """
    import pandas as pd

    frames, left, notices = [], limit, FileNotices()
    chunk = CHUNK if limit is None else min(limit, CHUNK)
    for frame in iter_tables(path, chunk, keep_damaged=True, encoding=encoding, notices=notices):
        frames.append(frame if left is None else frame.head(left))
        if left is not None:
            left -= len(frames[-1])
            if left <= 0:
                break
    notices.log(path)
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return table if keep_damaged else without_damaged(table, path)


def iter_tables(
    path: str | Path,
    chunk: int = CHUNK,
    *,
    keep_damaged: bool = False,
    encoding: str = UTF_8,
    notices: FileNotices | None = None,
    keep_blocks: bool = False,
) -> Iterator[pd.DataFrame]:
    """Reads a file as data frames, in the order of the file.

    A file with a header and no rows gives one empty frame with these columns.

    Args:
        path: the file, see `read_table`.
        chunk: number of rows of a frame; the last frame can have fewer.
        keep_damaged: return records that can't be read as rows without content, with the reason in a column `DAMAGED`.
            Otherwise they are errors (in SDF files: rows with an empty `smiles`).
        encoding: encoding of text formats, see `read_table`.
        notices: collects notices about readable rows. Default: they are logged when the whole file has been read.
        keep_blocks: for SDF files, add the column `mammal.tasks.tables.molecule_files.BLOCK` with the mol blocks.

    Raises:
        DataError: the file does not exist, the format is unknown, or the contents can't be read.
    """
    file = existing_file(path)
    read = _READERS[file_format(file)]
    with _reading(file, chunk, keep_damaged, encoding, notices) as reading:
        yield from read(reading._replace(keep_blocks=keep_blocks))


def iter_text_rows(
    path: str | Path,
    chunk: int = CHUNK,
    *,
    keep_damaged: bool = False,
    encoding: str = UTF_8,
    notices: FileNotices | None = None,
) -> Iterator[TextRows]:
    """Reads a delimited file (csv, tsv, tab) as `iter_tables` does, without pandas, whose import takes longer than
    reading a small file.

    Args:
        path: the file.
        chunk: as for `iter_tables`.
        keep_damaged: as for `iter_tables`; the reasons are in `TextRows.reasons`.
        encoding: as for `iter_tables`.
        notices: as for `iter_tables`.

    Raises:
        DataError: the file does not exist, or the contents can't be read.
    """
    file = existing_file(path)
    with _reading(file, chunk, keep_damaged, encoding, notices) as reading:
        yield from text_rows(reading, DELIMITERS[file_format(file)])


@contextmanager
def _reading(
    file: Path, chunk: int, keep_damaged: bool, encoding: str, notices: FileNotices | None
) -> Iterator[Reading]:
    """Converts errors of reading, and logs notices that nobody collects when the whole file has been read."""
    noted = FileNotices() if notices is None else notices
    try:
        with damage_as_data_errors(file):
            yield Reading(file, chunk, keep_damaged, encoding, noted)
    except UnicodeDecodeError as error:
        raise DataError(f"not {error.encoding} text: {error.reason} at byte {error.start}", where=str(file)) from error
    except UnicodeError as error:
        raise DataError(f"not {encoding} text: {error}", where=str(file)) from error
    if notices is None:
        noted.log(file)


def without_damaged(frame: pd.DataFrame, path: str | Path, before: int = 0) -> pd.DataFrame:
    """Returns the frame without the column `DAMAGED`. A warning is logged if it has reasons.

    Args:
        frame: a table of `iter_tables`, with `keep_damaged`.
        path: the file, for the warning.
        before: number of rows of the file above the frame.

    Raises:
        DataError: no record of the file can be read.
    """
    if DAMAGED not in frame:
        return frame
    reasons = frame[DAMAGED]
    bad = [(before + place, reason) for place, reason in enumerate(reasons, start=1) if isinstance(reason, str)]
    if bad:
        (number, reason), count = bad[0], len(bad)
        if count == len(frame) and not before:
            raise DataError(f"no row can be read; row {number}, {reason}", where=str(path))
        what = "%s: %d of %d rows can't be read and are left out; the first is row %d, %s"
        logger.warning(what, path, count, len(frame), number, reason)
    return frame.drop(columns=DAMAGED)


def iter_rows(path: str | Path, chunk: int = CHUNK) -> Iterator[dict[str, Any]]:
    """Reads a file row by row; arguments and errors as for `iter_tables`."""
    for frame in iter_tables(path, chunk):
        yield from frame.to_dict("records")


def file_format(path: str | Path) -> str:
    """Returns the format of a file by the suffix of its name, without that of a compression.

    Raises:
        DataError: the suffix is not one of a known format, or a BCF file is compressed once more.
    """
    name = bare_name(path)
    suffix = name.rpartition(".")[2] if "." in name else ""
    if suffix == "bcf" and compression_of(path):
        raise DataError("a BCF file is compressed already", where=str(path), hint="decompress it to .bcf")
    if suffix not in _READERS:
        raise DataError(
            f"can't tell the format of {Path(path).name!r}",
            hint=f"known endings: {', '.join(FORMATS)}, also with .gz, .bgz, .zst or .bz2",
        )
    return suffix


def existing_file(path: str | Path) -> Path:
    """Returns the path if it is an existing file.

    Raises:
        DataError: there is no such file; the hint names files of the folder with similar names.
    """
    file = Path(path)
    if file.is_file():
        return file
    if file.is_dir():
        raise DataError("is a folder, not a file", where=str(file))
    if not file.parent.is_dir():
        raise DataError("no such file, and no such folder", where=str(file))
    raise DataError("no such file", where=str(file), hint=likely_names(file.name, files_of(file.parent)))


def files_of(folder: Path) -> list[str]:
    """Returns the names of the first thousand files of a folder, without those of jobs. No folder: no names."""
    if not folder.is_dir():
        return []
    names = [file.name for file in islice(folder.iterdir(), 1000) if file.is_file()]
    return [name for name in names if not name.endswith(_OF_JOBS)]


_OF_JOBS = (".manifest.json", ".errors.parquet")
"""What jobs write next to their outputs, whose names are similar but never meant."""


def _parquet(reading: Reading) -> Iterator[pd.DataFrame]:
    from mammal.tasks.tables.parquet_files import parquet_tables

    for table, reasons in parquet_tables(reading.file, reading.chunk):
        reason = next(filter(None, reasons), None)
        if reason is not None and not reading.keep_damaged:
            raise DataError(reason, where=str(reading.file))
        yield with_reasons(table.to_pandas(), reasons, reading.keep_damaged)


def _fasta(reading: Reading) -> Iterator[pd.DataFrame]:
    with reading.open() as lines:
        yield from reading.frames(_sequences(bounded_lines(lines), reading))


def _sequences(lines: Iterable[str], reading: Reading) -> Iterator[tuple[dict[str, Any], str | None]]:
    begun, header, length = 0, "", 0
    parts: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith(">"):
            if begun:
                yield _fasta_record(begun, header, parts, length, reading)
            begun, header, parts, length = number, text[1:], [], 0
        elif text and not begun:
            raise DataError("a FASTA file begins with '>'", where=f"{reading.file}:{number}")
        elif text:
            length += len(text)
            if length <= LONGEST_CELL:
                parts.append(text)
    if begun:
        yield _fasta_record(begun, header, parts, length, reading)


def _fasta_record(
    line: int, header: str, parts: list[str], length: int, reading: Reading
) -> tuple[dict[str, Any], str | None]:
    """The row of a record; `length`: characters of its sequence, of which `parts` has those within the limit."""
    name, _, description = header.partition(" ")
    sequence = "".join(parts)
    reason = unreadable(header + sequence, reading.encoding) or too_long("the sequence", length, LONGEST_CELL)
    reason = reason or too_long("the header", len(header), LONGEST_CELL)
    reading.require(reason, line)
    if reason is not None:
        return {"id": "", "description": "", "sequence": ""}, f"line {line}: {reason}"
    return {"id": name, "description": description.strip(), "sequence": sequence}, None


def _h5ad(reading: Reading) -> Iterator[pd.DataFrame]:
    from mammal.tasks.tables.h5ad import iter_cells

    with uncompressed(reading.file) as file:
        yield from iter_cells(file, reading.chunk)


def _variants(reading: Reading) -> Iterator[pd.DataFrame]:
    from mammal.tasks.tables.variant_files import iter_variants

    yield from iter_variants(reading.file, reading.chunk, reading.keep_damaged)


FASTA = ("fasta", "fa", "faa", "fna", "ffn", "fas")
"""Suffixes of FASTA files: any sequences, proteins (faa), nucleotides (fna, ffn)."""

_READERS: dict[str, Reader] = {
    **{suffix: delimited(delimiter) for suffix, delimiter in DELIMITERS.items()},
    "jsonl": json_lines,
    "vcf": _variants,
    "bcf": _variants,
    "parquet": _parquet,
    "sdf": sdf,
    "smi": smi,
    "smiles": smi,
    **dict.fromkeys(FASTA, _fasta),
    "h5ad": _h5ad,
}
FORMATS = tuple(sorted(_READERS))
"""Suffixes of the files that can be read, without that of a compression."""

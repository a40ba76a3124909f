"""Reading of files as tables, in chunks and in the order of the file.

    csv tsv tab   delimited, with a header        parquet   Apache Parquet          jsonl   one JSON object per line
    sdf           molecules with properties       smi       SMILES, blank, name     fasta   id, description, sequence
    h5ad          cells with genes ranked by expression (`mammal.tasks.tables.h5ad`)
    vcf bcf       variants, every cell as text (`mammal.tasks.tables.variant_files`)

Text formats may be gzipped (`.csv.gz`). Cells of delimited files stay text exactly as written, because `NA` can be a
peptide and `007` an identifier; an empty cell is "".
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mammal.tasks.errors import DataError
from mammal.tasks.tables.lines import Lines, delimited, json_lines, open_text
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 10_000
"""Default number of rows of a table that is read at once."""


def read_table(path: str | Path, *, limit: int | None = None) -> pd.DataFrame:
    """Reads a whole file as one data frame.

    Args:
        path: of the file: csv, tsv, parquet, jsonl, sdf, smi, fasta, h5ad or vcf; text formats also gzipped.
        limit: maximum number of rows. Default: all.

    Raises:
        DataError: the file does not exist, the format is unknown, or the contents can't be read.
    """
    import pandas as pd

    frames, left = [], limit
    for frame in iter_tables(path, CHUNK if limit is None else min(limit, CHUNK)):
        frames.append(frame if left is None else frame.head(left))
        if left is not None:
            left -= len(frames[-1])
            if left <= 0:
                break
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def iter_tables(path: str | Path, chunk: int = CHUNK, *, keep_damaged: bool = False) -> Iterator[pd.DataFrame]:
    """Reads a file as data frames, in the order of the file.

    A file with a header and no rows gives one empty frame with these columns.

    Args:
        path: of the file, see `read_table`.
        chunk: number of rows of a frame; the last frame can have fewer.
        keep_damaged: return delimited lines, JSON lines and variant records that can't be read as rows with empty
            cells and the reason in a column `DAMAGED`. Default: such a line raises an error.

    Raises:
        DataError: the file does not exist, the format is unknown, or the contents can't be read.
    """
    file = existing_file(path)
    form = file_format(file)
    try:
        if form in _LINE_READERS:
            yield from _LINE_READERS[form](file, chunk, keep_damaged)
        else:
            yield from _READERS[form](file, chunk)
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text: {error.reason} at byte {error.start}", where=str(file)) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"damaged gzip file: {error}", where=str(file)) from error


def iter_rows(path: str | Path, chunk: int = CHUNK) -> Iterator[dict[str, Any]]:
    """Reads a file row by row; arguments and errors as for `iter_tables`."""
    for frame in iter_tables(path, chunk):
        yield from frame.to_dict("records")


def file_format(path: str | Path) -> str:
    """Returns the format of a file by the suffix of its name, without `.gz` or `.bgz`.

    Raises:
        DataError: the suffix is not one of a known format.
    """
    name = Path(path).name.lower().removesuffix(".gz").removesuffix(".bgz")
    suffix = name.rpartition(".")[2] if "." in name else ""
    known = sorted([*_LINE_READERS, *_READERS])
    if suffix not in known:
        raise DataError(f"can't tell the format of {Path(path).name!r}", hint=f"one of {', '.join(known)}")
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
    neighbours = [f.name for f in islice(file.parent.iterdir(), 1000) if f.is_file()]
    raise DataError("no such file", where=str(file), hint=did_you_mean(file.name, neighbours, noun="file"))


def _parquet(file: Path, chunk: int) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        table = pa.parquet.ParquetFile(file)
        empty = True
        for batch in table.iter_batches(batch_size=chunk):
            empty = False
            yield batch.to_pandas()
        if empty:
            yield table.schema_arrow.empty_table().to_pandas()
    except pa.ArrowInvalid as error:
        raise DataError(f"not a Parquet file: {error}", where=str(file)) from error


def _sdf(file: Path, chunk: int) -> Iterator[pd.DataFrame]:
    """Columns `smiles` (canonical; "" if RDKit can't read the record), `name`, and the properties as text."""
    from rdkit import Chem, rdBase

    def records() -> Iterator[dict[str, Any]]:
        with _bytes(file) as stream:
            supplier = Chem.ForwardSDMolSupplier(stream)
            while not supplier.atEnd():
                silence = rdBase.BlockLogs()
                try:
                    molecule = next(supplier)
                except StopIteration:
                    return
                finally:
                    del silence
                if molecule is None:
                    yield {"smiles": "", "name": ""}
                    continue
                name = molecule.GetProp("_Name") if molecule.HasProp("_Name") else ""
                properties = {p: molecule.GetProp(p) for p in molecule.GetPropNames()}
                yield {"smiles": Chem.MolToSmiles(molecule), "name": name, **properties}

    return _frames(records(), chunk)


def _smi(file: Path, chunk: int) -> Iterator[pd.DataFrame]:
    def records() -> Iterator[dict[str, Any]]:
        with open_text(file) as lines:
            for line in lines:
                if line.strip():
                    smiles, _, name = line.strip().replace("\t", " ").partition(" ")
                    yield {"smiles": smiles, "name": name.strip()}

    return _frames(records(), chunk)


def _fasta(file: Path, chunk: int) -> Iterator[pd.DataFrame]:
    def records() -> Iterator[dict[str, Any]]:
        header: str | None = None
        parts: list[str] = []
        with open_text(file) as lines:
            for number, line in enumerate(lines, start=1):
                text = line.strip()
                if text.startswith(">"):
                    if header is not None:
                        yield _fasta_record(header, parts)
                    header, parts = text[1:], []
                elif text and header is None:
                    raise DataError("a FASTA file begins with '>'", where=f"{file}:{number}")
                elif text:
                    parts.append(text)
        if header is not None:
            yield _fasta_record(header, parts)

    return _frames(records(), chunk)


def _fasta_record(header: str, parts: list[str]) -> dict[str, Any]:
    name, _, description = header.partition(" ")
    return {"id": name, "description": description.strip(), "sequence": "".join(parts)}


def _frames(records: Iterable[dict[str, Any]], chunk: int) -> Iterator[pd.DataFrame]:
    import pandas as pd

    remaining = iter(records)
    while rows := list(islice(remaining, chunk)):
        yield pd.DataFrame(rows)


def _bytes(file: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb")


def _h5ad(file: Path, chunk: int) -> Iterator[pd.DataFrame]:
    from mammal.tasks.tables.h5ad import iter_cells

    yield from iter_cells(file, chunk)


def _variants(file: Path, chunk: int, keep_damaged: bool) -> Iterator[pd.DataFrame]:
    from mammal.tasks.tables.variant_files import iter_variants

    yield from iter_variants(file, chunk, keep_damaged)


_LINE_READERS: dict[str, Lines] = {
    "csv": delimited(","),
    "tsv": delimited("\t"),
    "tab": delimited("\t"),
    "jsonl": json_lines,
    "vcf": _variants,
    "bcf": _variants,
}
_READERS: dict[str, Callable[[Path, int], Iterator[pd.DataFrame]]] = {
    "parquet": _parquet,
    "sdf": _sdf,
    "smi": _smi,
    "smiles": _smi,
    "fasta": _fasta,
    "fa": _fasta,
    "faa": _fasta,
    "h5ad": _h5ad,
}

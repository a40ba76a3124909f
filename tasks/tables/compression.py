"""Compressed files: gzip, bgzip, Zstandard and bzip2, which are recognised by the suffix of the name.

Text is decompressed while it is read, so a file of any length needs little memory. A format that is read at any place
(Parquet, h5ad, BCF) is first decompressed to a temporary file.
"""

from __future__ import annotations

import bz2
import gzip
import io
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import IO, cast

from mammal.tasks.errors import DataError

GZIPPED = (".gz", ".bgz")
"""Suffixes of gzipped files; bgzip is gzip in blocks."""

COMPRESSED = (*GZIPPED, ".zst", ".bz2")
"""Suffixes of compressed files."""

_BLOCK = 1 << 17


def bare_name(name: str | PurePath) -> str:
    """Returns the name of a file in lower case, without the suffix of a compression.

    Args:
        name: name or path of the file.
    """
    lower = PurePath(name).name.lower()
    return lower.removesuffix(compression_of(name))


def compression_of(name: str | PurePath) -> str:
    """Returns the suffix of the compression of a file, such as ".gz"; "" if it is not compressed."""
    suffix = PurePath(name).suffix.lower()
    return suffix if suffix in COMPRESSED else ""


def open_bytes(file: Path) -> IO[bytes]:
    """Opens a file, compressed or not. Zstandard is decompressed by pyarrow."""
    suffix = compression_of(file)
    if suffix in GZIPPED:
        return cast(IO[bytes], gzip.open(file, "rb"))
    if suffix == ".bz2":
        return cast(IO[bytes], bz2.open(file, "rb"))
    if suffix == ".zst":
        import pyarrow as pa

        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(file)), "zstd"), _BLOCK)
    return file.open("rb")


@contextmanager
def damage_as_data_errors(file: Path) -> Iterator[None]:
    """Converts the errors of damaged compressed files to DataErrors.

    Args:
        file: the file that is read within the block.

    Raises:
        DataError: the compressed data are damaged or end too early.
    """
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damaged(file, error) from error
    except OSError as error:
        if error.errno is not None or not compression_of(file):  # a disk or network that fails has a number
            raise
        raise _damaged(file, error) from error


@contextmanager
def uncompressed(file: Path) -> Iterator[Path]:
    """Yields a path at which the content of a file can be read at any place.

    Args:
        file: the file. If it is compressed, it is decompressed to a temporary file, which is removed after the block.

    Raises:
        DataError: the compressed data are damaged.
    """
    if not compression_of(file):
        yield file
        return
    with TemporaryDirectory(prefix="mammal-") as folder:
        place = Path(folder) / file.name.removesuffix(file.suffix)
        with damage_as_data_errors(file), open_bytes(file) as packed, place.open("wb") as plain:
            shutil.copyfileobj(packed, plain, _BLOCK)
        yield place


def _damaged(file: Path, error: Exception) -> DataError:
    kind = "gzip" if compression_of(file) in GZIPPED else compression_of(file).removeprefix(".")
    return DataError(f"damaged {kind} file: {error}", where=str(file), hint="compress or copy the file again")

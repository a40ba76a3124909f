"""Reading of bases from a reference genome: an indexed FASTA file, plain or bgzipped, of any length."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mammal.tasks.dna.contigs import synonyms
from mammal.tasks.errors import DataError
from mammal.tasks.tables.pysam_import import import_pysam
from mammal.tasks.tables.readers import existing_file
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    import pysam

logger = logging.getLogger(__name__)

BGZF = b"\x1f\x8b\x08\x04"
"""First bytes of a bgzipped file: gzip with an extra field (SAM specification, section 4.1)."""

GZIP = BGZF[:2]


class Genome:
    """A FASTA file from which any region can be read without reading the rest.

    A missing index (`.fai`, and `.gzi` of a bgzipped file) is created next to the file. The file is opened when bases
    are first requested, separately in every process, so a genome can be pickled and used after a fork.

    Args:
        path: `.fa` or `.fasta`, plain or compressed with bgzip.

    Raises:
        DataError: the file does not exist, is not FASTA, is compressed with gzip, or has no index and its folder can't
            be written.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = existing_file(Path(path).expanduser())
        self._file: pysam.FastaFile | None = None
        self._process = 0
        self._names: dict[str, str] = {}
        _require_index(self.path)

    def __enter__(self) -> Genome:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def close(self) -> None:
        """Closes the file; it is opened again when bases are requested."""
        if self._file is not None and self._process == os.getpid():
            self._file.close()
        self._file = None

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Name -> number of bases of every sequence, in the order of the file."""
        opened = self._opened()
        return dict(zip(opened.references, opened.lengths, strict=True))

    def contig(self, chrom: str) -> str:
        """Returns the file's own name of a contig.

        Raises:
            DataError: the genome has no such contig; the hint gives the nearest name.
        """
        name = self._names.get(chrom)
        if name is None:
            name = next((other for other in synonyms(chrom) if other in self.lengths), None)
            if name is None:
                hint = did_you_mean(chrom, self.lengths, noun="contig")
                raise DataError(f"the genome has no contig {chrom!r}", where=str(self.path), hint=hint)
            self._names[chrom] = name
        return name

    def length(self, chrom: str) -> int:
        """Returns the number of bases of a contig; `chrom` as for `contig`."""
        return self.lengths[self.contig(chrom)]

    def bases(self, chrom: str, start: int, end: int) -> str:
        """Returns the bases of a region in upper case (soft masking is removed).

        Args:
            chrom: as for `contig`.
            start: first base, counted from 0.
            end: base after the last one.

        Raises:
            DataError: the genome has no such contig, or the region extends beyond it.
        """
        name = self.contig(chrom)
        if not 0 <= start <= end <= self.lengths[name]:
            what = f"bases {start + 1:,} to {end:,} of {name} are requested, which has {self.lengths[name]:,}"
            raise DataError(what, where=str(self.path))
        try:
            return self._opened().fetch(name, start, end).upper()
        except (OSError, ValueError) as error:
            raise DataError(f"can't be read: {error}", where=str(self.path), hint="is its index up to date?") from error

    def _opened(self) -> pysam.FastaFile:
        if self._file is None or self._process != os.getpid():
            import pysam

            try:
                self._file = pysam.FastaFile(str(self.path))
            except (OSError, ValueError) as error:
                hint = f"remove {self.path.name}.fai, if it belongs to another file"
                raise DataError(f"not an indexed FASTA file: {error}", where=str(self.path), hint=hint) from error
            self._process = os.getpid()
        return self._file


def _require_index(file: Path) -> None:
    """Creates a missing index atomically, because other processes may open the same file at the same time."""
    with file.open("rb") as stream:
        first = stream.read(4)
    if first.startswith(GZIP) and first != BGZF:
        hint = f"gunzip -c {file.name} | bgzip > {file.stem}.bgz.gz"
        raise DataError("compressed with gzip, in which no place can be looked up", where=str(file), hint=hint)
    indexes = [Path(f"{file}.fai"), *([Path(f"{file}.gzi")] if first == BGZF else [])]
    if all(index.is_file() for index in indexes):
        if any(index.stat().st_mtime < file.stat().st_mtime for index in indexes):
            logger.warning("%s is older than %s: remove it if the sequences changed", indexes[0].name, file.name)
        return
    pysam = import_pysam()
    if not os.access(file.parent, os.W_OK):
        hint = f"samtools faidx {file.name}, where that folder can be written, or copy the file"
        raise DataError("has no index, and its folder can't be written", where=str(file), hint=hint)
    logger.info("indexing %s", file)
    partial = [index.with_name(f"{index.name}.{os.getpid()}") for index in indexes]
    options = [text for pair in zip(("--fai-idx", "--gzi-idx"), map(str, partial), strict=False) for text in pair]
    try:
        pysam.faidx(*options, str(file))
        for made, index in zip(partial, indexes, strict=True):
            made.replace(index)
    except (OSError, pysam.SamtoolsError) as error:
        said = str(error).replace("\n", " ").strip()
        raise DataError(f"can't be indexed as FASTA: {said}", where=str(file)) from error
    finally:
        for made in partial:
            made.unlink(missing_ok=True)

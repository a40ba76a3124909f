"""Writes answers into a variant file: each record keeps its line, and its INFO column gains fields.

    before   chr1  7  .  A  G,<DEL>  .  PASS  DP=31
    after    chr1  7  .  A  G,<DEL>  .  PASS  DP=31;MAMMAL_LLR=-1.25,.;MAMMAL_DIST=0.31,.

Values are in the order of the alternate alleles (Number=A of VCF 4.3, section 1.4.2), with `.` for an allele without a
value. Each field is described by a line of the header. `.vcf.gz` is compressed in blocks (bgzip), and indexed (tabix)
if the records are sorted by position.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mammal.errors import JobError
from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Progress, Refused, Row
from mammal.rows.question import Question, UsedModel
from mammal.tasks.tables.atomic import atomic_file
from mammal.tasks.tables.pysam_import import import_pysam
from mammal.tasks.tables.variant_files import FIXED, Header
from mammal.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

SUFFIXES = (".vcf", ".vcf.gz")
MISSING = "."
_TBI_END = 1 << 29
"""Positions beyond this one need another kind of index (SAM specification, section 5: .csi)."""
_HEADING = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_NOT_IN_INFO = re.compile(r"[^\w.<>:+*/-]+", re.ASCII)


@dataclass(frozen=True)
class Field:
    """An INFO field with one value for each alternate allele.

    Attributes:
        key: name of the field, such as `MAMMAL_LLR`.
        kind: type of its values: Float, Integer or String.
        about: description for the header.
    """

    key: str
    kind: str
    about: str

    @property
    def header_line(self) -> str:
        about = self.about.replace("\\", "\\\\").replace('"', '\\"')
        kind = f"Number=A,Type={self.kind}"
        return f'##INFO=<ID={self.key},{kind},Description="{about}",Source="mammal",Version="{__version__}">'


class InfoQuestion(Question):
    """Combines the records of the alleles of a row to one record: the text that is added to INFO.

    Args:
        inner: question that answers with one record for each alternate allele: the allele, then a value for each of
            `fields`, in order.
        fields: fields that are added to INFO.
        name: name of the column that holds the text.
    """

    def __init__(self, inner: Question, fields: Sequence[Field], name: str):
        self._inner, self._fields = inner, fields
        self.reading, self.recorded_options = inner.reading, inner.recorded_options
        self.columns = [AnswerColumn(name, "text")]

    @property
    def uses(self) -> Sequence[UsedModel]:
        return self._inner.uses

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        answers = self._inner.ask(rows, first=first, progress=progress)
        return [given if isinstance(given, Refused) else [(self._info(given),)] for given in answers]

    def _info(self, records: Sequence[Record]) -> str:
        columns = list(zip(*records, strict=True))[1:]  # without the allele's own name
        known = [(field.key, values) for field, values in zip(self._fields, columns, strict=True) if _any_known(values)]
        return ";".join(f"{key}={','.join(map(info_value, values))}" for key, values in known)


def _any_known(values: Iterable[Any]) -> bool:
    return any(value is not None for value in values)


def info_value(value: Any) -> str:
    """Returns a value as text for INFO.

    A number has six digits. In a text, characters that have a meaning in INFO are replaced (VCF 4.3, section 1.2).
    """
    if value is None:
        return MISSING
    return f"{value:.6g}" if isinstance(value, float) else _NOT_IN_INFO.sub("_", str(value))


class VcfFormat:
    """A variant file as the output of a job (`mammal.jobs.tables.OutputFormat`).

    Args:
        header: header of the input. The columns of a shard are its columns and the text that is added to INFO.
        fields: fields that are added to INFO and described in the header.
        where: name of the input, for error messages.
        zipped: compress the file in blocks (bgzip).

    Raises:
        JobError: the header of the input already describes one of the fields.
    """

    suffix = ".vcf"

    def __init__(self, header: Header, fields: Sequence[Field], *, where: str, zipped: bool):
        described = {match[1] for line in header.lines if (match := re.match(r"##INFO=<ID=([^,>]+)", line))}
        if taken := sorted(described & {field.key for field in fields}):
            hint = "prefix=OTHER_ gives the added fields another prefix"
            raise JobError(f"the file already has a field {taken[0]}", where=where, hint=hint)
        self.header, self.fields, self._zipped = header, fields, zipped
        self._places = _Places()

    def check(self, path: Path, schema: pa.Schema) -> None:
        if not path.name.endswith(SUFFIXES):
            raise JobError("not the name of a VCF file", where=str(path), hint=" or ".join(SUFFIXES))

    def write(self, table: pa.Table, path: Path) -> None:
        """Writes a shard: its last column is added to INFO, the others are the columns of a line."""
        info = FIXED.index("info")
        with path.open("w", encoding="utf-8", newline="") as stream:
            for *cells, gained in zip(*(column.to_pylist() for column in table.columns), strict=True):
                cells[info] = gained if cells[info] in (MISSING, "") else f"{cells[info]};{gained}"
                stream.write("\t".join(cells) + "\n")

    def join(self, parts: Sequence[Path], path: Path, schema: pa.Schema) -> None:
        self._places = places = _Places()
        with closing(self._opened(path)) as stream:
            stream.write("".join(f"{line}\n" for line in self._lines()).encode())
            for part in parts:
                with part.open("rb") as lines:
                    for line in lines:
                        places.add(line)
                        stream.write(line)

    def add_false(self, part: Path, padded: Path, column: str) -> None:
        raise AssertionError("a variant that does not fit is refused, never cut")

    def complete(self, path: Path) -> None:
        """Writes the index of a bgzipped file. An older index is removed."""
        tbi, csi = (path.with_name(f"{path.name}{suffix}") for suffix in (".tbi", ".csi"))
        for index in (tbi, csi):
            index.unlink(missing_ok=True)
        if not self._zipped:
            return
        if not self._places.sorted:
            logger.warning("%s has no index: its records are not sorted by position", path)
            return
        wide = self._places.highest > _TBI_END
        with atomic_file(csi if wide else tbi) as partial:
            pysam = import_pysam()
            pysam.tabix_index(str(path), preset="vcf", force=True, csi=wide, index=str(partial))

    def _opened(self, path: Path) -> IO[bytes] | Any:
        if self._zipped:
            return import_pysam().BGZFile(str(path), "wb")
        return path.open("wb")

    def _lines(self) -> list[str]:
        names = ["FORMAT", *self.header.samples] if len(self.header.columns) > len(FIXED) else []
        described = [field.header_line for field in self.fields]
        return [*self.header.lines, *described, "\t".join([*_HEADING, *names])]


class _Places:
    """Finds whether the lines of a file are sorted by position, and the highest position, for its index."""

    def __init__(self) -> None:
        self.sorted, self.highest = True, 0
        self._chrom, self._pos, self._left = b"", 0, set[bytes]()

    def add(self, line: bytes) -> None:
        chrom, pos, _ = line.split(b"\t", 2)
        place = int(pos)
        if chrom != self._chrom:
            self._left.add(self._chrom)
            self.sorted &= chrom not in self._left
        elif place < self._pos:
            self.sorted = False
        self._chrom, self._pos, self.highest = chrom, place, max(self.highest, place)

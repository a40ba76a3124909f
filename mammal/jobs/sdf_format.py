"""Molecules as the output of a job: an SDF file in which the columns of a row are the data fields of its record.

Records of an SDF input keep their mol block, with coordinates. A molecule of another input is read from its SMILES and
gets a layout in two dimensions.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from mammal.errors import JobError
from mammal.tasks.molecules.chemistry import mol_block
from mammal.tasks.tables.cells import as_text, is_missing
from mammal.tasks.tables.molecule_files import BLOCK, STRUCTURE

logger = logging.getLogger(__name__)

SUFFIX = ".sdf"

_END = b"$$$$"
_NOT_IN_NAMES = re.compile(r"[<>\s]")
_NO_ATOMS = "{}\n     mammal\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n"
"""Record of a row whose structure RDKit can't read: its fields are kept."""


class SdfFormat:
    """An SDF file as the output of a job (`mammal.jobs.tables.OutputFormat`).

    Args:
        molecule: column with the SMILES of the molecules. None: the input is an SDF file, whose blocks are kept.
    """

    suffix = SUFFIX

    def __init__(self, molecule: str | None):
        self._molecule = molecule

    def check(self, path: Path, schema: pa.Schema) -> None:
        if path.suffix != SUFFIX:
            raise JobError("not the name of an SDF file", where=str(path), hint=SUFFIX)

    def write(self, table: pa.Table, path: Path) -> None:
        unread = 0
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            for row in table.to_pylist():
                block = self._block(row)
                unread += block is None
                stream.write(block or _NO_ATOMS.format(_line(row.get("name"))))
                stream.writelines(_field(name, value) for name, value in row.items() if self._is_written(name))
                stream.write(f"{_END.decode()}\n")
        if unread:
            logger.warning("%s records have no atoms, because RDKit can't read their structures", f"{unread:,}")

    def join(self, parts: Sequence[Path], path: Path, schema: pa.Schema) -> None:
        with path.open("wb") as stream:
            for part in parts:
                with part.open("rb") as shard:
                    shutil.copyfileobj(shard, stream, length=1 << 20)

    def add_false(self, part: Path, padded: Path, column: str) -> None:
        field = _field(column, False).encode()
        with part.open("rb") as lines, padded.open("wb") as stream:
            stream.writelines(field + line if line.startswith(_END) else line for line in lines)

    def complete(self, path: Path) -> None:
        """Does nothing: an SDF file needs no further file."""

    def _block(self, row: Mapping[str, Any]) -> str | None:
        if self._molecule is None:
            block = row[BLOCK]
            return f"{block}\n" if block else None
        smiles = row[self._molecule]
        return None if is_missing(smiles) else mol_block(as_text(smiles), _line(row.get("name")))

    def _is_written(self, name: str) -> bool:
        """Whether a column becomes a field: name and structure of an SDF input are in the block."""
        return name != BLOCK and not (self._molecule is None and name in STRUCTURE)


def _field(name: str, value: Any) -> str:
    """A data field; "" for an unknown value. A blank line would end the value, and `>` begin another one."""
    if value is None:
        return ""
    text = json.dumps(value) if isinstance(value, list | dict) else str(value)
    lines = [f" {line}" if line.startswith((">", "$$$$")) else line for line in text.splitlines() if line.strip()]
    return f">  <{_NOT_IN_NAMES.sub('_', name)}>\n" + "".join(f"{line}\n" for line in lines) + "\n"


def _line(text: Any) -> str:
    return "" if is_missing(text) else " ".join(as_text(text).split())[:80]

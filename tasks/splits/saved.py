"""Saved splits: the part of each row of a table on disk, so that another run evaluates the same rows.

One JSON file (`.json.gz` or `.json`) holds how the split was made, its hash, the row numbers of each part, and the rows
that were left out, with reasons. It also holds a digest of the columns that the prompt reads, so that the split can't
be applied to another table by mistake.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.errors import DataError
from mammal.tasks.splits.split import PARTS, Split
from mammal.tasks.splits.table import column_texts
from mammal.tasks.tables.atomic import atomic_file
from mammal.tasks.tables.cells import missing_column

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SplitRecord:
    """The split of a task, with its table's digest and its leaks.

    Attributes:
        split: the split.
        rows: number of rows of the table, including those left out.
        columns: columns that the prompt reads.
        content: digest of the cells of these columns (`content_digest`).
        leakage: result of `mammal.tasks.splits.leakage`; also counts of target molecules that occur in train
            (`leaks.count_known`).
        repeats: result of `mammal.tasks.splits.leaks.count_repeats`.
    """

    split: Split
    rows: int
    columns: list[str]
    content: str
    leakage: dict[str, int] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Returns everything except the row numbers, as plain values."""
        sizes = {part: len(self.split.parts[part]) for part in PARTS} | {"left_out": len(self.split.left_out)}
        summary = {"how": self.split.how, "hash": self.split.hash, "rows": sizes}
        return summary | {"leakage": self.leakage, "repeats": self.repeats}

    def save(self, path: Path) -> None:
        """Writes the file atomically; equal splits give equal bytes.

        Args:
            path: the file, `.json.gz` or `.json`.
        """
        whole = {
            "how": self.split.how,
            "hash": self.split.hash,
            "rows": self.rows,
            "columns": self.columns,
            "content": self.content,
            "parts": {part: self.split.parts[part].tolist() for part in PARTS},
            "left_out": self.split.left_out,
        }
        text = json.dumps(whole).encode()
        with atomic_file(path) as partial:
            partial.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def load_split(path: Path, frame: pd.DataFrame) -> Split:
    """Loads the split that a run saved.

    Args:
        path: file that `SplitRecord.save` wrote.
        frame: the table that the split was made for.

    Raises:
        DataError: the file is not a saved split, was changed, or was made for another table.
    """
    try:
        stored = path.read_bytes()
        whole = json.loads(gzip.decompress(stored) if path.suffix == ".gz" else stored)
        parts = {part: np.array(whole["parts"][part], dtype=np.int64) for part in PARTS}
        split = Split(str(whole["how"]), parts, [(int(row), str(reason)) for row, reason in whole["left_out"]])
        columns, rows = [str(column) for column in whole["columns"]], int(whole["rows"])
        wanted = str(whole["hash"]), str(whole["content"])
    except (ValueError, KeyError, TypeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        hint = "task.data.split_file takes splits/TASK.json.gz of a training run"
        raise DataError(f"not a saved split: {error}", where=str(path), hint=hint) from error
    if rows != len(frame):
        raise DataError(f"made for a table of {rows:,} rows; this one has {len(frame):,}", where=str(path))
    if split.hash != wanted[0]:
        raise DataError("its row numbers don't have its hash: it was changed or damaged", where=str(path))
    if content_digest(frame, columns) != wanted[1]:
        raise DataError(f"made for a table with other cells in {', '.join(columns)}", where=str(path))
    return split


def content_digest(frame: pd.DataFrame, columns: Sequence[str]) -> str:
    """Returns the sha256 of the text of these columns, column by column, each row by row.

    Raises:
        DataError: a column is missing.
    """
    digest = hashlib.sha256()
    for column in columns:
        if column not in frame.columns:
            raise missing_column(column, [str(name) for name in frame.columns])
        for text in column_texts(frame, column):
            digest.update(text.encode() + b"\n")
        digest.update(b"\0")
    return digest.hexdigest()

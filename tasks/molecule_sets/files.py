"""Reading of SMILES from files: generated molecules, training sets, reference sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mammal.tasks.errors import DataError
from mammal.tasks.tables.cells import as_text, is_missing, missing_column
from mammal.tasks.tables.lines import UTF_8
from mammal.tasks.tables.readers import existing_file, iter_tables, without_damaged

NAMES = ("smiles", "canonical_smiles", "text", "molecule")
"""Usual names of columns of molecules, in any case."""


def molecule_parts(
    path: str | Path, column: str | None = None, *, or_else: str | None = None, encoding: str = UTF_8
) -> Iterator[list[str]]:
    """Reads the strings of a column in parts, as they are written; "" for an empty cell or an unreadable record.

    Args:
        path: the file.
        column: name of the column. Default: the first one with a name of `NAMES`, or the only one.
        or_else: the column to use if there is no default.
        encoding: encoding of a text file.

    Raises:
        DataError: the file or the column does not exist, or the column can't be determined.
    """
    rows = 0
    for kept in iter_tables(existing_file(path), keep_damaged=True, encoding=encoding):
        frame = without_damaged(kept, path, rows)
        rows += len(frame)
        column = molecule_column(frame.columns, column, path, or_else=or_else)
        yield cells_as_text(frame[column])


def molecule_column(
    columns: Iterable[object], column: str | None, path: str | Path, *, or_else: str | None = None
) -> str:
    """Determines the column of molecules of a table.

    Args:
        columns: columns of the table.
        column: as for `molecule_parts`.
        path: the file, for error messages.
        or_else: as for `molecule_parts`.

    Raises:
        DataError: there is no such column, or the column can't be determined.
    """
    every = [str(name) for name in columns]
    if column is not None:
        if column not in every:
            raise missing_column(column, every)
        return column
    by_name = {name.lower(): name for name in reversed(every)}
    named = [by_name[name] for name in NAMES if name in by_name] or (every if len(every) == 1 else [])
    named = named or [name for name in every if name == or_else]
    if not named:
        hint = f"column=NAME, one of {', '.join(every)}"
        raise DataError("can't tell which column holds the molecules", where=str(path), hint=hint)
    return named[0]


def cells_as_text(cells: Iterable[object]) -> list[str]:
    """Returns the cells of a table as they are written; "" for an empty cell."""
    return [cell.strip() if isinstance(cell, str) else "" if is_missing(cell) else as_text(cell) for cell in cells]


def molecules_of(
    path: str | Path,
    column: str | None = None,
    limit: int | None = None,
    *,
    or_else: str | None = None,
    encoding: str = UTF_8,
) -> list[str]:
    """Returns the strings of a column, at most `limit` of them; other arguments as for `molecule_parts`."""
    found: list[str] = []
    for part in molecule_parts(path, column, or_else=or_else, encoding=encoding):
        found += part
        if limit is not None and len(found) >= limit:
            return found[:limit]
    return found


COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")


def set_name(path: str | Path) -> str:
    """Returns the name of a set of molecules: the file name without the suffixes of format and compression."""
    name = Path(path)
    return (name.with_suffix("") if name.suffix in COMPRESSED else name).stem


class Drawn:
    """A uniform random sample of the strings of a stream (reservoir sampling, algorithm R, Vitter 1985).

    Args:
        most: size of the sample.
        seed: seed of the random state.
    """

    def __init__(self, most: int, seed: int = 0):
        self.kept: list[str] = []
        self._most, self._rng, self._seen = most, np.random.default_rng(seed), 0

    def watch(self, parts: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
        """Yields the same parts and adds their strings to the stream."""
        for part in parts:
            places_N = self._rng.integers(0, np.arange(self._seen + 1, self._seen + len(part) + 1))
            room = max(0, self._most - len(self.kept))
            self.kept += part[:room]
            for number in (room + np.flatnonzero(places_N[room:] < self._most)).tolist():
                self.kept[places_N[number]] = part[number]
            self._seen += len(part)
            yield part

"""Cache of computed descriptors on disk, which all runs and processes share.

It is the SQLite file `descriptors.sqlite` in the folder that `MAMMAL_CACHE` names, by default `~/.cache/mammal`
(`mammal.tasks.sources.kept`). It may be deleted at any time; `clear` does the same. `MAMMAL_DESCRIPTOR_CACHE=off` keeps
nothing on disk.

A value is stored under the SMILES that it was computed from, the list of descriptors and the version of RDKit. SQLite
locks the file while a process writes, so several processes can use it at once. A cache that can't be read or written is
left out, and the log says so: values are then computed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from mammal.tasks.sources.kept import cache_folder

logger = logging.getLogger(__name__)

VARIABLE = "MAMMAL_DESCRIPTOR_CACHE"
OFF = ("off", "0", "false", "no")
FILE = "descriptors.sqlite"
VERSION = 1
"""Increases when the same descriptor gets another value from the same version of RDKit."""

LARGEST_FILE = 2 << 30
"""Largest size of the file in bytes, about three million molecules. A full cache is read, but gets no new values."""

AT_ONCE = 500
"""Number of molecules in one query."""

WAIT_SECONDS = 10.0
"""Time to wait for a process that is writing."""

Values = tuple[float, ...]


def cache_file() -> Path | None:
    """Returns the file of the cache, and None if it is switched off."""
    return None if os.environ.get(VARIABLE, "").lower() in OFF else cache_folder() / FILE


def clear() -> None:
    """Removes all stored values."""
    if (file := cache_file()) is not None:
        file.unlink(missing_ok=True)
        file.with_name(f"{FILE}-journal").unlink(missing_ok=True)


class DescriptorCache:
    """Stored values of one list of descriptors.

    Args:
        file: the SQLite file, which is made when the first values are stored.
        names: names of the descriptors, in their order.
    """

    def __init__(self, file: Path, names: Sequence[str]):
        from rdkit import __version__ as rdkit

        self.file, self._width = file, len(names)
        self.kind = hashlib.blake2b(f"{VERSION} {rdkit} {' '.join(names)}".encode(), digest_size=8).hexdigest()
        self._reads = self._writes = True

    def read(self, texts: Sequence[str]) -> dict[str, Values]:
        """Returns the stored values of those texts that have some.

        Args:
            texts: SMILES.
        """
        found: dict[str, Values] = {}
        if not self._reads or not self.file.is_file():
            return found
        try:
            with self._opened() as base:
                for start in range(0, len(texts), AT_ONCE):
                    some = texts[start : start + AT_ONCE]
                    marks = ",".join("?" * len(some))
                    query = f"SELECT smiles, content FROM molecules WHERE kind = ? AND smiles IN ({marks})"
                    for text, content in base.execute(query, (self.kind, *some)):
                        if (values := self._unpacked(content)) is not None:
                            found[text] = values
        except sqlite3.Error as error:
            self._tell(error)
        return found

    def write(self, values: Mapping[str, Values]) -> None:
        """Stores values.

        Args:
            values: SMILES -> its descriptors.
        """
        if not self._writes or not values:
            return
        lines = [(self.kind, text, _packed(of_text)) for text, of_text in values.items()]
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self._opened() as base, base:
                base.executemany("INSERT OR IGNORE INTO molecules VALUES (?, ?, ?)", lines)
        except (sqlite3.Error, OSError) as error:
            self._tell(error)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection for one call: it must not be used by a forked process or another thread."""
        with closing(sqlite3.connect(self.file, timeout=WAIT_SECONDS)) as base:
            base.execute("PRAGMA synchronous = OFF")  # a loss of power may cost the cache, and no result
            (page,) = base.execute("PRAGMA page_size").fetchone()
            base.execute(f"PRAGMA max_page_count = {max(1, LARGEST_FILE // page)}")
            base.execute(
                "CREATE TABLE IF NOT EXISTS molecules"
                " (kind TEXT, smiles TEXT, content BLOB, PRIMARY KEY (kind, smiles)) WITHOUT ROWID"
            )
            yield base

    def _unpacked(self, content: bytes) -> Values | None:
        """The values; None if the content is damaged."""
        try:
            values = np.frombuffer(zlib.decompress(content))
        except (zlib.error, ValueError, TypeError):
            return None
        return tuple(values.tolist()) if len(values) == self._width else None

    def _tell(self, error: Exception) -> None:
        """Logs the first error, and stops to use what does not work; a file that is only locked is tried again."""
        if "locked" in str(error):
            return
        if self._writes:
            logger.info("descriptors are not stored in %s: %s", self.file, error)
        self._writes = False
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self._reads = False


def _packed(values: Values) -> bytes:
    return zlib.compress(np.array(values, dtype=np.float64).tobytes(), level=1)

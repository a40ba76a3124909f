"""The files that an input names: one file, a list, a pattern or a folder, on this machine or in a remote store.

    library.csv    [a.csv, b.csv]    lib/*.csv.gz    lib/**/*.sdf    lib/    s3://bucket/lib/*.parquet

A list keeps its order. The files of a pattern and of a folder are sorted by their names, as text ("10.csv" is before
"2.csv"). A folder stands for the files in it that have a known format, without those of the folders inside it. Hidden
files, names that begin with `_`, and what jobs write next to their outputs are left out.
"""

from __future__ import annotations

import glob
import logging
import os
import re
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path, PurePosixPath

from mammal.errors import ConfigError, DataError, MammalError, did_you_mean
from mammal.tasks.tables.compression import bare_name
from mammal.tasks.tables.readers import FORMATS, existing_file
from mammal.tasks.tables.remote import STORES, checked_scheme, fetch, is_remote, list_remote, remote_name

logger = logging.getLogger(__name__)

Place = str | os.PathLike[str]
Given = Place | Sequence[Place]
"""What a user gives as input."""

_PATTERN = re.compile(r"[*?[]")
_OF_JOBS = re.compile(r".+\.(manifest\.json|errors\.(csv|tsv|jsonl|parquet))")


class Copies:
    """A temporary folder for copies of remote files. It is removed when this object is not used any more."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._count = 0

    def fetch(self, url: str) -> Path:
        """Copies a remote file; each copy is in a folder of its own, because names can be equal."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="mammal-"))
            weakref.finalize(self, shutil.rmtree, self._folder, True)
        place = self._folder / str(self._count)
        place.mkdir()
        self._count += 1
        return fetch(url, place)


@dataclass(frozen=True)
class InputFile:
    """A file of an input.

    Attributes:
        name: path or URL, as it is reported.
        path: where the file is on this machine; a copy, if it is remote.
        copies: keeps the copy alive; None: the file is not remote.
    """

    name: str
    path: Path
    copies: Copies | None = None

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Replaces the path of a copy by the URL in the errors that a block raises."""
        try:
            yield
        except MammalError as error:
            if self.copies is None or error.where is None:
                raise
            where = error.where.replace(str(self.path), self.name)
            raise type(error)(error.what, where=where, hint=error.hint) from error


def is_one_file(given: Given) -> bool:
    """Whether an input names one file, and neither a list, a pattern nor a folder."""
    if not isinstance(given, str | os.PathLike):
        return False
    if is_remote(given):
        return not str(given).endswith("/") and not _is_pattern(str(given))
    path = Path(given).expanduser()
    return path.is_file() or not (path.is_dir() or _is_pattern(os.fspath(given)))


def named_files(given: Given) -> list[Place]:
    """Returns the entries of an input: one, or those of a list.

    Raises:
        ConfigError: the list is empty.
    """
    entries: list[Place] = [given] if isinstance(given, str | os.PathLike) else list(given)
    if not entries:
        raise ConfigError("the list of input files is empty", where="input", hint="input=[a.csv,b.csv]")
    return entries


def input_files(given: Given) -> list[InputFile]:
    """Finds the files of an input, in the order in which they are read. Remote files are copied.

    Args:
        given: path, URL, pattern or folder, or a list of them.

    Raises:
        DataError: a file does not exist, a pattern or folder has no file, or a file is named twice.
        ConfigError: the list is empty.
    """
    copies = Copies()
    names = [name for entry in named_files(given) for name in _expanded(entry)]
    keys = [name if is_remote(name) else os.path.realpath(name) for name in names]
    counts = Counter(keys)
    if twice := next((name for name, key in zip(names, keys, strict=True) if counts[key] > 1), None):
        raise DataError("the file is named twice", where=twice, hint="leave one of them out")
    return [
        InputFile(name, copies.fetch(name), copies) if is_remote(name) else InputFile(name, existing_file(name))
        for name in names
    ]


def _expanded(entry: Place) -> list[str]:
    """The files that one entry names."""
    if is_remote(entry):
        return _expanded_url(str(entry))
    path = Path(entry).expanduser()
    if path.is_dir():
        return _of_folder(str(entry), [str(file) for file in sorted(path.iterdir()) if file.is_file()])
    if path.is_file() or not _is_pattern(str(path)):
        return [str(path)]
    matching = sorted(name for name in glob.glob(str(path), recursive=True) if Path(name).is_file())  # noqa: PTH207
    if found := [name for name in matching if not _OF_JOBS.fullmatch(Path(name).name)]:
        return found
    folder = next((one for one in path.parents if not _is_pattern(str(one))), Path())
    names = [file.name for file in islice(folder.iterdir(), 1000)] if folder.is_dir() else []
    hint = did_you_mean(path.name, names, noun="file") if names else "the folder is empty or does not exist"
    raise DataError("no file has such a name", where=str(entry), hint=hint)


def _expanded_url(url: str) -> list[str]:
    stored = checked_scheme(url) in STORES
    start = url.partition("?")[0] if stored else url
    if stored and _is_pattern(start):
        fixed = start[: re.search(r"[*[]", start).start()].rpartition("/")[0]  # type: ignore[union-attr]
        listed = list_remote(fixed + url[len(start) :], deep="**" in start or start.count("/") > fixed.count("/") + 1)
        names = [one.partition("?")[0] for one in listed or []]
        found = [one for one, name in zip(listed or [], names, strict=True) if _matches(name, start)]
        found = [one for one in found if not _OF_JOBS.fullmatch(remote_name(one))]
        if not found:
            hint = did_you_mean(remote_name(start), [remote_name(one) for one in listed or []], noun="file")
            raise DataError("no file has such a name", where=url, hint=hint)
        return found
    if start.endswith("/") or (stored and not bare_name(remote_name(url)).endswith(tuple(FORMATS))):
        return _of_folder(url, list_remote(url) or [])
    return [url]


def _matches(name: str, pattern: str) -> bool:
    """As `glob`: `*` stays within a folder, `**` doesn't."""
    if "**" in pattern:
        return fnmatchcase(name, pattern.replace("**/", "*"))
    return name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)


def _of_folder(folder: str, names: Sequence[str]) -> list[str]:
    """The files of a folder that are read."""
    read = [name for name in names if _is_read(PurePosixPath(name.partition("?")[0]).name)]
    if not read:
        hint = f"it needs files that end in {', '.join(FORMATS)}, also compressed"
        raise DataError("the folder has no file of a known format", where=folder, hint=hint)
    if len(read) < len(names):
        left = [PurePosixPath(name).name for name in names if name not in read]
        logger.info("%s: %d files are read, and %d are not: %s", folder, len(read), len(left), ", ".join(left[:5]))
    return read


def _is_read(name: str) -> bool:
    known = bare_name(name).rpartition(".")[2] in FORMATS and "." in name
    return known and not name.startswith((".", "_")) and not _OF_JOBS.fullmatch(name)


def _is_pattern(text: str) -> bool:
    """Whether a name has characters of a pattern; in a URL, `?` begins the query."""
    return bool(re.search(r"[*[]", text) if is_remote(text) else _PATTERN.search(text))

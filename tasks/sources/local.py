"""Local copies of data sets: `paths.data`, or the folder that `MAMMAL_DATA` names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mammal.tasks.errors import DataError
from mammal.tasks.tables.readers import existing_file

VARIABLE = "MAMMAL_DATA"


def data_root(paths: Mapping[str, object] | None) -> Path | None:
    """The folder of local copies, None if nobody named one.

    Raises:
        DataError: one is named and there is no such folder.
    """
    named = (paths or {}).get("data") or os.environ.get(VARIABLE)
    if not named:
        return None
    root = Path(str(named)).expanduser()
    if not root.is_dir():
        raise DataError("no such folder", where=str(root), hint=f"paths.data or {VARIABLE} names it")
    return root


def find_file(path: str, root: Path | None) -> Path:
    """A declared path: as it stands from the working directory, else below the folder of local copies.

    Raises:
        DataError: in neither place; the hint names files spelt like it.
    """
    given = Path(path).expanduser()
    if given.is_file() or root is None or given.is_absolute():
        return existing_file(given)
    return existing_file(root / given)


def find_copy(path: str, root: Path | None) -> Path | None:
    """A file below the folder of local copies, None where there is none."""
    file = None if root is None else root / path
    return file if file is not None and file.is_file() else None


def local_copy(path: str, root: Path | None, origin: str) -> Path:
    """A file below the folder of local copies that nothing here can download.

    Args:
        path: from the folder of local copies, such as `dti_davis_deepdta/pairs.csv.gz`.
        origin: where a user gets it.

    Raises:
        DataError: it is not there; names the missing path, and the origin as a hint.
    """
    found = find_copy(path, root)
    if found is not None:
        return found
    if root is None:
        what = f"no folder of local copies is named, and {path} can't be downloaded"
        raise DataError(what, hint=f"paths.data=FOLDER (or {VARIABLE}); get it from {origin}")
    raise DataError("no local copy of the data", where=str(root / path), hint=f"get it from {origin}")

"""Local copies of data sets, below `paths.data` or the folder that `MAMMAL_DATA` names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mammal.tasks.errors import DataError
from mammal.tasks.tables.readers import existing_file, files_of
from mammal.tokenization.errors import likely_names

VARIABLE = "MAMMAL_DATA"


def data_root(paths: Mapping[str, object] | None) -> Path | None:
    """Returns the folder of local copies, None if neither `paths.data` nor `MAMMAL_DATA` names one.

    Args:
        paths: the `paths` block of the configuration.

    Raises:
        DataError: the named folder does not exist.
    """
    named = (paths or {}).get("data") or os.environ.get(VARIABLE)
    if not named:
        return None
    root = Path(str(named)).expanduser()
    if not root.is_dir():
        raise DataError("no such folder", where=str(root), hint=f"paths.data or {VARIABLE} names it")
    return root


def find_file(path: str, root: Path | None) -> Path:
    """Finds a declared file: relative to the working directory, else below the folder of local copies, there with its
    folders or without them.

    Args:
        path: the declared path.
        root: the folder of local copies, None if there is none.

    Raises:
        DataError: the file is in none of these places; the hint gives files with similar names, and the key that sets
            the folder.
    """
    given = Path(path).expanduser()
    places = [given] if root is None or given.is_absolute() else [given, root / given, root / given.name]
    for place in places:
        if place.is_file():
            return place
    folder = next((place for place in places if path and place.is_dir()), None)
    if folder is not None or given.is_absolute():
        return existing_file(folder or given)  # raises an error that names this place
    near = {str(given.parent / name) for place in places[:2] for name in files_of(place.parent)}
    near |= set(files_of(places[-1].parent))
    hints = []
    if root is None:
        hints.append(f"paths.data=FOLDER names the folder that holds {given.name}")
    else:
        hints.append(f"looked for in the working folder and below {root}, which paths.data or {VARIABLE} names")
    if likely := likely_names(str(given), near):
        hints.append(likely)
    found = any(place.parent.is_dir() for place in places)
    what = "no such file" if found else "no such file, and no such folder"
    raise DataError(what, where=str(given), hint="; ".join(hints) or None)


def find_copy(path: str, root: Path | None) -> Path | None:
    """Returns a file below the folder of local copies, None if it does not exist."""
    file = None if root is None else root / path
    return file if file is not None and file.is_file() else None


def local_copy(path: str, root: Path | None, origin: str) -> Path:
    """Returns a file below the folder of local copies; it can't be downloaded automatically.

    Args:
        path: relative to the folder of local copies, such as `dti_davis_deepdta/pairs.csv.gz`.
        root: the folder of local copies, None if there is none.
        origin: where a user gets the file.

    Raises:
        DataError: the file does not exist; the message names its path, and the hint its origin.
    """
    found = find_copy(path, root)
    if found is not None:
        return found
    if root is None:
        what = f"no folder of local copies is named, and {path} can't be downloaded"
        raise DataError(what, hint=f"paths.data=FOLDER (or {VARIABLE}); get it from {origin}")
    raise DataError("no local copy of the data", where=str(root / path), hint=f"get it from {origin}")

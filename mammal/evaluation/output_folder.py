"""Checks of the folder that an evaluation writes into: it replaces no input, and no file that it did not write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

from mammal.errors import ConfigError
from mammal.evaluation import results, set_results, tables
from mammal.overwriting import refuse_overwriting

PAGE = "report.html"
_WRITTEN = {
    results.FILE: (tables.MARKDOWN, tables.CSV, results.ANSWERS),
    set_results.FILE: (set_results.CSV, set_results.MOLECULES),
}
"""The file that lists what an evaluation wrote -> patterns of the names of its other files."""


def check_output_folder(folder: Path, read: Mapping[str, str | os.PathLike[str]]) -> None:
    """Refuses a folder in which an evaluation would replace a file that it reads, or one that no evaluation wrote.

    Args:
        folder: that is written into; it need not exist.
        read: what is read -> its path.

    Raises:
        ConfigError: names the file.
    """
    if not folder.is_dir():
        return
    names = sorted(path.name for path in folder.iterdir())
    patterns = (PAGE, *_WRITTEN, *(pattern for beside in _WRITTEN.values() for pattern in beside))
    standing = [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]
    refuse_overwriting({f"file of the evaluation {name}": folder / name for name in standing}, read)
    for listing, beside in _WRITTEN.items():
        if listing in names:
            continue
        for name in (name for name in beside if name in names):
            hint = "choose another output; nothing was changed"
            raise ConfigError(
                "the file exists already, and was not written by an evaluation", where=str(folder / name), hint=hint
            )

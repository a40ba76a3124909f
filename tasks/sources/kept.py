"""Cache of tables that take minutes to compute from a source's files.

The tables are Parquet files in the folder that `MAMMAL_CACHE` names; default: `mammal` in the user's cache folder
(`XDG_CACHE_HOME`, else `~/.cache`). Their names contain a hash of the files that they were computed from. They may be
deleted at any time.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

VARIABLE = "MAMMAL_CACHE"


def cache_folder() -> Path:
    """Returns the folder of the cached tables."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mammal"


def kept(name: str, version: int, files: Iterable[Path], make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Returns a table from the cache, or computes it and stores it there.

    Args:
        name: name of the table, the beginning of its file name.
        version: version of `make`; raise it when the result of `make` changes.
        files: the files that the table is computed from. Their contents are hashed, together with the version of RDKit,
            which writes the molecules of the table.
        make: function that computes the table.
    """
    import pandas as pd
    from rdkit import __version__ as rdkit

    digest = hashlib.blake2b(f"{name} {version} {rdkit}".encode(), digest_size=12)
    for file in files:
        digest.update(hashlib.blake2b(file.read_bytes()).digest())
    held = cache_folder() / f"{name}-{digest.hexdigest()}.parquet"
    if held.is_file():
        return pd.read_parquet(held)
    frame = make()
    partial = held.with_suffix(f".{os.getpid()}.part")
    try:
        held.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(partial)
        partial.replace(held)
    except OSError as error:
        logger.info("%s is computed again each time: can't keep it in %s (%s)", name, held.parent, error)
    return frame

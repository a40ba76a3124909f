"""Tables that take minutes to compute from a source's files, kept from one run to the next.

They lie as Parquet files in the folder that `MAMMAL_CACHE` names, by default `mammal` in the user's cache folder
(`XDG_CACHE_HOME`, else `~/.cache`), under a name that holds a hash of what they were made from. They may be deleted at
any time.
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
    """Where kept tables lie."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mammal"


def kept(name: str, version: int, files: Iterable[Path], make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A table, computed once for the same files.

    Args:
        name: of the table, for people who look into the folder.
        version: of `make`; raise it when what it gives changes.
        files: whose contents decide the table, together with the version of RDKit, which writes its molecules.
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
        logger.info("%s is computed anew each time: can't keep it in %s (%s)", name, held.parent, error)
    return frame

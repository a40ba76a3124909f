"""Files and folders that appear whole or not at all: written beside their place, synced, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: Path, scratch: Path | None = None) -> Iterator[Path]:
    """Gives a temporary path beside `path`, or in `scratch`, a folder of the same file system that the caller clears.

    It becomes `path` when the block ends without an error, with the permissions that any new file gets, whatever those
    that its writer gave it (safetensors makes files that the owner alone can read).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = (scratch or path.parent) / f".{path.name}.{os.getpid()}.partial"
    partial.touch()
    mode = partial.stat().st_mode
    try:
        yield partial
        partial.chmod(mode)
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Like `atomic_file` for a folder; a folder that stood at `path` is replaced when the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    former = path.with_name(f".{path.name}.{os.getpid()}.former")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        for file in sorted(partial.rglob("*")):
            _sync(file)
        if path.exists():  # no portable call swaps two folders; between these renames the former one is kept whole
            path.replace(former)
        partial.replace(path)
        _sync(path.parent)
    finally:
        if former.exists() and not path.exists():
            former.replace(path)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def _sync(path: Path) -> None:
    """Forces a file (on POSIX a folder, too) to the disk, so that a rename never outlives its content."""
    if os.name != "posix" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some network file systems can't sync a folder
            raise
    finally:
        os.close(handle)

"""Atomic writing of files and folders: written under a temporary name in the same folder, synced, then renamed.

A reader sees the complete new file or the former one, never a partial one.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: Path, scratch: Path | None = None) -> Iterator[Path]:
    """Yields a temporary path to write to; it is renamed to `path` if the block ends without an error.

    The file gets the permissions that any new file gets, even if the writer set others (safetensors writes files that
    only the owner can read).

    Args:
        path: the final file; missing folders above it are created.
        scratch: folder of the temporary file, on the same file system; the caller clears it. Default: the folder of
            `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = (scratch or path.parent) / f".{path.name}.{os.getpid()}-{secrets.token_hex(2)}.partial"  # of any machine
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
    """Like `atomic_file`, for a folder; an existing folder at `path` is replaced when the new one is complete.

    Args:
        path: the final folder; missing folders above it are created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    former = path.with_name(f".{path.name}.{os.getpid()}.former")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        for file in sorted(partial.rglob("*")):
            _sync(file)
        if path.exists():  # no portable call swaps two folders, so the former one is kept until the new one is in place
            path.replace(former)
        partial.replace(path)
        _sync(path.parent)
    finally:
        if former.exists() and not path.exists():
            former.replace(path)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def _sync(path: Path) -> None:
    """Flushes a file (on POSIX also a folder) to the disk, so that a renamed file always has its content."""
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

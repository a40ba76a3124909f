"""Refuses an output that would replace or remove a file that is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mammal.errors import ConfigError

PathLike = str | os.PathLike[str]


def refuse_overwriting(written: Mapping[str, PathLike], read: Mapping[str, PathLike]) -> None:
    """Compares the places that are written with the files that are read, before anything is touched.

    Places are compared on the disk, so that other spellings of a path, symbolic links, hard links and, where the file
    system ignores case, other cases count as the same file. A folder that is written contains every file inside it.

    Args:
        written: what is written -> its path, which need not exist.
        read: what is read -> the path of a file or folder.

    Raises:
        ConfigError: names the two that coincide.
    """
    targets = [(what, Path(path).expanduser()) for what, path in written.items()]
    sources = [(what, Path(path).expanduser()) for what, path in read.items()]
    for target_is, target in targets:
        for source_is, source in sources:
            if any(_same(target, place) for place in _places(source, target)):
                what = f"the {target_is} {target} would replace the {source_is}"
                raise ConfigError(what, where=str(source), hint="choose another output; nothing was changed")


def _places(source: Path, target: Path) -> Iterator[Path]:
    """The source and, if the target is a folder, the folders around the source and around the file it links to."""
    yield source
    if target.is_dir():
        yield from source.absolute().parents
        yield from source.resolve().parents


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist
        return one.resolve() == other.resolve()

"""Hashes of the training rows of a corpus, from which a pretraining run makes the filter in its bundle.

`mammal corpus` writes `identities.safetensors` next to the tables: for each set, one hash of each key. `mammal pack`
copies it to the packs. Hashes are kept in place of filters, so that a run can join those of the sets that it reads.

Shapes: N keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mammal.errors import DataError, MammalError
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.pretraining.bloom_filter import key_hashes
from mammal.tasks.pretraining.pretraining_rows import PretrainingRows
from mammal.tasks.sources.local import data_root, find_file
from mammal.tasks.tables.atomic import atomic_file

IDENTITIES = "identities.safetensors"
"""File next to the tables of a corpus, and in a folder of packs."""

GIVEN = "given"
"""Split of a task that reads the parts of the corpus."""


def set_hashes(keys: Iterable[str]) -> np.ndarray:
    """Returns the hashes of the training rows of a set, in ascending order, uint64 [N].

    Args:
        keys: keys of the rows (`mammal.tasks.pretraining.cleaning.Cleaned`).
    """
    return np.unique(key_hashes(keys))


def write_identities(folder: Path, hashes: Mapping[str, np.ndarray]) -> None:
    """Writes `identities.safetensors`.

    Args:
        folder: folder of a corpus or of packs.
        hashes: `FAMILY/SET` -> hashes, uint64 [N].
    """
    from safetensors.numpy import save

    with atomic_file(folder / IDENTITIES) as partial:
        partial.write_bytes(save(dict(hashes)))


def read_identities(folder: Path) -> dict[str, np.ndarray]:
    """Reads `identities.safetensors`.

    Args:
        folder: folder of a corpus or of packs.

    Returns:
        `FAMILY/SET` -> hashes, uint64 [N]. Empty: the folder has no such file.

    Raises:
        DataError: the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    file = folder / IDENTITIES
    if not file.is_file():
        return {}
    try:
        return load(file.read_bytes())
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"can't be read: {error}", where=str(file), hint="make the corpus or the packs again"
        ) from error


def identities_of_task(config: TaskConfig, paths: Mapping[str, object] | None) -> dict[str, np.ndarray]:
    """Returns the hashes of the set of a corpus that a task reads as the corpus splits it; empty for other data.

    Args:
        config: declaration of the task.
        paths: `{"data": folder}` in which files are searched.

    Raises:
        DataError: the file of the hashes is damaged.
    """
    name = _set_of(config)
    if name is None:
        return {}
    try:
        folder = find_file(str(config.data.path), data_root(paths)).parent
    except MammalError:  # of packed rows, whose tables are elsewhere
        return {}
    return {key: hashes for key, hashes in read_identities(folder).items() if key.partition("/")[2] == name}


def copy_identities(configs: Sequence[TaskConfig], paths: Mapping[str, object] | None, packs: Path) -> None:
    """Writes the hashes of the sets that packed tasks read into the folder of the packs, next to those already there.

    Args:
        configs: declarations of the packed tasks.
        paths: `{"data": folder}` in which files are searched.
        packs: folder of the packs.

    Raises:
        DataError: a file of hashes is damaged.
    """
    found = read_identities(packs)
    known = list(found)
    for config in configs:
        found |= identities_of_task(config, paths)
    if list(found) != known:
        write_identities(packs, found)


def rows_of_tasks(
    configs: Sequence[TaskConfig], paths: Mapping[str, object] | None, packs: Path | None = None
) -> PretrainingRows:
    """Returns filters of the training rows of the sets of a corpus that tasks read.

    Args:
        configs: declarations of the tasks.
        paths: `{"data": folder}` in which files are searched.
        packs: folder of packs; None: no task is packed.

    Raises:
        DataError: a file of hashes is damaged.
    """
    packed = read_identities(packs) if packs is not None else {}
    found: dict[str, np.ndarray] = {}
    for config in configs:
        name = _set_of(config)
        found |= {key: hashes for key, hashes in packed.items() if key.partition("/")[2] == name}
        found |= identities_of_task(config, paths)
    of_family: dict[str, list[np.ndarray]] = {}
    for key, hashes_N in found.items():
        of_family.setdefault(key.partition("/")[0], []).append(hashes_N)
    return PretrainingRows.of_hashes({family: np.concatenate(several) for family, several in of_family.items()})


def _set_of(config: TaskConfig) -> str | None:
    """Name of the set that a task reads, if its data can be the table of a corpus with the parts of the corpus."""
    data = config.data
    own = data.source == "file" and data.path and data.split == GIVEN and data.split_column in (None, "split")
    return Path(str(data.path)).stem if own else None

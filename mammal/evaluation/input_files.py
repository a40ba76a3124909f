"""The user's own files that tasks read: their tables, genomes and saved splits. No output may replace them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mammal.errors import MammalError
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.sources.local import data_root, find_file

OF_HUB = "hub"
"""Source whose paths are those of a repository, not of files here."""


def input_files(tasks: Mapping[str, TaskConfig], paths: Mapping[str, object] | None = None) -> dict[str, Path]:
    """The files that the data of tasks are read from, by what they are. Files that don't exist are left out.

    Args:
        tasks: declarations by name of the task.
        paths: `{"data": folder}`, in which files are searched, too.

    Raises:
        DataError: `paths` names a folder that does not exist.
    """
    root = data_root(paths)
    found: dict[str, Path] = {}
    for name, config in tasks.items():
        data = config.data
        here = {} if data.source == OF_HUB else {"data": data.path, "genome": data.reference}
        parts = {} if data.source == OF_HUB else {f"{part} data": path for part, path in data.files.items()}
        for what, path in {**here, **parts, "split": data.split_file}.items():
            with suppress(MammalError):  # whoever reads the file reports what is wrong
                if path:
                    found[f"{what} of the task {name}"] = find_file(str(path), root)
    return found

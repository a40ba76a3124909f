"""The words of a command line, sorted, and the Hydra override for the config folders that they name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Arguments:
    """A verb's words, sorted.

    Attributes:
        overrides: for Hydra.
        task: value of `task=` where that is a plain name (see `parse`).
        config_dirs: folders of configs besides our own.
        show, multirun: `--cfg` and `-m` were given.
    """

    overrides: list[str] = field(default_factory=list)
    task: str | None = None
    config_dirs: list[Path] = field(default_factory=list)
    show: bool = False
    multirun: bool = False


def search_path(arguments: Arguments) -> list[str]:
    """The override that tells Hydra of the user's own config folders."""
    if not arguments.config_dirs:
        return []
    folders = ",".join(f"'file://{folder.resolve()}'" for folder in arguments.config_dirs)
    return [f"hydra.searchpath=[{folders}]"]


def arguments_of(hydra: Any) -> Arguments:
    """The words that a job of Hydra's was composed from, wherever it runs.

    Args:
        hydra: Hydra's own section of its configuration.
    """
    folders = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    ours = [word for word in hydra.overrides.hydra if not word.startswith(("hydra.searchpath=", "hydra.mode="))]
    return Arguments([*hydra.overrides.task, *ours], None, folders)

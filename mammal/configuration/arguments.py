"""The parsed words of a command line, and the Hydra override for the config folders that they name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Arguments:
    """The parsed words after a verb.

    Attributes:
        overrides: overrides for Hydra.
        task: value of `task=`, for verbs that do not pass it to Hydra (see `parse_arguments` in
            `mammal.configuration.compose`).
        config_dirs: folders of configs in addition to those of the package.
        show: whether `--cfg` was given.
        multirun: whether `-m` was given.
    """

    overrides: list[str] = field(default_factory=list)
    task: str | None = None
    config_dirs: list[Path] = field(default_factory=list)
    show: bool = False
    multirun: bool = False


def package_folder() -> Path:
    """The folder of the configs that ship."""
    import mammal.configs

    return Path(mammal.configs.__file__).parent


def search_path(arguments: Arguments) -> list[str]:
    """Returns the override with which Hydra also searches the user's config folders."""
    if not arguments.config_dirs:
        return []
    folders = ",".join(f"'file://{folder.resolve()}'" for folder in arguments.config_dirs)
    return [f"hydra.searchpath=[{folders}]"]


def arguments_of(hydra: Any) -> Arguments:
    """Returns the words from which the configuration of a Hydra job was composed. Works in any process.

    Args:
        hydra: the section `hydra` of its configuration.
    """
    sources = hydra.runtime.config_sources  # a folder is listed twice if its tasks go before ours
    folders = list(dict.fromkeys(Path(source.path) for source in sources if source.schema == "file"))
    ours = [word for word in hydra.overrides.hydra if not word.startswith(("hydra.searchpath=", "hydra.mode="))]
    return Arguments([*hydra.overrides.task, *ours], None, folders)

"""Which file, or which word of the command line, put a key into a composed configuration.

Hydra says which files it composed and into which section each went (its defaults list); they are searched from the last
one, which has the last word, to the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from mammal.configuration.arguments import Arguments, search_path
from mammal.tasks.declaration.registry import line_of

KeyPath = tuple[str, ...]
"""Names of nested keys, the outermost first; a name may hold dots (`optim.lr` among the parameters of a sweep)."""


def place_of(path: KeyPath, verb: str, arguments: Arguments) -> str:
    """Where a key was written: `FILE:LINE`, or the verb if the command line gave it."""
    if not any(_gives(word, path) for word in arguments.overrides):
        for config, section in composed_files(verb, arguments):
            file = config_file(config, arguments)
            inside = None if file is None else _inside(file, section, path)
            if file is not None and inside is not None:
                return f"{shown(file)}:{line_of(file, inside)}"
    return f"mammal {verb}"


def composed_files(verb: str, arguments: Arguments) -> list[tuple[str, KeyPath]]:
    """Every config that Hydra composes for a command line, the last one first, with the section that it goes into."""
    from hydra.types import RunMode

    from mammal.tasks.declaration.schema import register_schema

    register_schema()
    mode = RunMode.MULTIRUN if arguments.multirun else RunMode.RUN
    with config_loader() as loader:
        composed = loader.compute_defaults_list(verb, [*arguments.overrides, *search_path(arguments)], mode).defaults
    return [(entry.config_path, tuple(filter(None, entry.package.split(".")))) for entry in reversed(composed)]


def verb_configs(verb: str) -> list[str]:
    """A verb's own config and those that its defaults name without a group: together they list every key that it has.

    The package's files are read as they are, because asking Hydra would slow down `mammal VERB --help`.
    """
    import yaml

    found = [verb]
    for name in found:
        file = package_folder() / f"{name}.yaml"
        listed = yaml.safe_load(file.read_text(encoding="utf-8")).get("defaults", ()) if file.is_file() else ()
        found += [entry for entry in listed if isinstance(entry, str) and entry != "_self_"]
    return found


@contextmanager
def config_loader() -> Iterator[Any]:
    """Hydra's loader of our configs; the one that is in use, if Hydra runs a job."""
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():
        yield GlobalHydra.instance().config_loader()
        return
    with initialize_config_module("mammal.configs", version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def package_folder() -> Path:
    """The folder of the configs that ship."""
    return Path(str(files("mammal.configs")))


def config_file(config: str, arguments: Arguments) -> Path | None:
    """The file of a config such as `optim/adamw`, ours before the user's, as Hydra looks; None for Hydra's own."""
    folders = (package_folder(), *arguments.config_dirs)
    return next((folder / f"{config}.yaml" for folder in folders if (folder / f"{config}.yaml").is_file()), None)


def shown(file: Path) -> str:
    """A config file as its user would name it."""
    own = package_folder()
    return f"configs/{file.relative_to(own).as_posix()}" if file.is_relative_to(own) else str(file)


def _gives(word: str, path: KeyPath) -> bool:
    """Whether an override sets the key, or a section that holds it; `group=option` chooses a file instead."""
    key = word.lstrip("+~").partition("=")[0]
    dotted = ".".join(path)
    if (package_folder() / key).is_dir():
        return False
    return key == dotted or (word.startswith("+") and dotted.startswith(f"{key}."))


def _inside(file: Path, section: KeyPath, path: KeyPath) -> KeyPath | None:
    """The path of the key inside a file whose content goes into a section; None if the file does not have it."""
    shared = min(len(section), len(path))
    if section[:shared] != path[:shared]:
        return None
    inside = path[len(section) :]
    content: Any = _content(file, file.stat().st_mtime_ns)
    for name in inside:
        if not isinstance(content, Mapping) or name not in content:
            return None
        content = content[name]
    return inside


@cache
def _content(file: Path, _changed: int) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(OmegaConf.load(file), resolve=False)

"""Finds the file, or the word of the command line, that set a key of a composed configuration.

Hydra's defaults list contains the files that it composed, and the section of each. They are searched from the last file
to the first, because later files override earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from mammal.configuration.arguments import Arguments, package_folder, search_path
from mammal.configuration.own_tasks import own_tasks_first, replaces_ours
from mammal.tasks.declaration.registry import line_of

KeyPath = tuple[str, ...]
"""Names of nested keys, outermost first. A name can contain dots (`optim.lr` as a parameter of a sweep)."""


ComposedFiles = Sequence[tuple[str, KeyPath]]
"""Configs that Hydra composed, such as `optim/adamw`, last one first, each with its section."""


def place_of(path: KeyPath, verb: str, arguments: Arguments, composed: ComposedFiles | None = None) -> str:
    """Returns where a key was written: `FILE:LINE`, or `mammal VERB` for the command line.

    Args:
        path: path of the key.
        verb: the verb.
        arguments: parsed words of the command line.
        composed: what `composed_files` returns for them, if the caller has it: finding it takes half a second.
    """
    if not any(_gives(word, path) for word in arguments.overrides):
        for config, section in composed_files(verb, arguments) if composed is None else composed:
            file = config_file(config, arguments)
            inside = None if file is None else _inside(file, section, path)
            if file is not None and inside is not None:
                return f"{config_file_name(file)}:{line_of(file, inside)}"
    return f"mammal {verb}"


def composed_files(verb: str, arguments: Arguments) -> ComposedFiles:
    """Returns the configs that Hydra composes for a command line, last one first, each with its section.

    Args:
        verb: the verb.
        arguments: parsed words of the command line.
    """
    from hydra.types import RunMode

    mode = RunMode.MULTIRUN if arguments.multirun else RunMode.RUN
    with config_loader(arguments) as loader:
        composed = loader.compute_defaults_list(verb, [*arguments.overrides, *search_path(arguments)], mode).defaults
    return [(entry.config_path, tuple(filter(None, entry.package.split(".")))) for entry in reversed(composed)]


def set_by_user(section: str, arguments: Arguments, composed: ComposedFiles) -> bool:
    """Returns whether a section can contain anything but what files of the package write into it.

    Args:
        section: a top-level section that is a group of configs, such as `trainer`.
        arguments: parsed words of the command line.
        composed: what `composed_files` returns for them. Without folders of the user it can be empty.

    Returns:
        True if a word sets a key in the section, or if any file of the user is composed, except one of a task. A word
        that chooses an option of the package (`trainer=ddp`) sets no key.
    """
    keys = (word.lstrip("+~").partition("=")[0] for word in arguments.overrides)
    if any(key.startswith((f"{section}.", f"{section}@")) for key in keys):
        return True
    files = [config_file(config, arguments) for config, place in composed if place[:1] != ("task",)]
    return any(file is not None and not file.is_relative_to(package_folder()) for file in files)


def verb_configs(verb: str) -> dict[str, dict[str, Any]]:
    """Returns the configs that together list every key of a verb.

    These are the config of the verb and those in its defaults list that belong to no group. The files are read without
    Hydra, which would slow down `mammal VERB --help`.

    Args:
        verb: the verb.

    Returns:
        Name of each config -> content of its file; empty if the config has no file.
    """
    import yaml

    found: dict[str, dict[str, Any]] = {}
    waiting = [verb]
    for name in waiting:
        file = package_folder() / f"{name}.yaml"
        found[name] = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
        waiting += [entry for entry in found[name].get("defaults", ()) if isinstance(entry, str) and entry != "_self_"]
    return found


@contextmanager
def config_loader(arguments: Arguments) -> Iterator[Any]:
    """Opens Hydra's loader of the configs and of the user's own tasks. If Hydra runs a job, it is the loader of that
    job."""
    from hydra import initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():
        yield GlobalHydra.instance().config_loader()
        return
    with own_tasks_first(arguments), initialize_config_module("mammal.configs", version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def config_file(config: str, arguments: Arguments) -> Path | None:
    """Returns the file of a config such as `optim/adamw`. None: it is a config of Hydra.

    The package is searched before the folders of the user, as Hydra does; for a task the user's folders come first.
    """
    own = [file for folder in arguments.config_dirs if replaces_ours(file := folder / f"{config}.yaml")]
    if own:
        return own[0]
    folders = (package_folder(), *arguments.config_dirs)
    return next((folder / f"{config}.yaml" for folder in folders if (folder / f"{config}.yaml").is_file()), None)


def config_file_name(file: Path) -> str:
    """Returns the name of a config file for messages: `configs/…` for a file of the package, else its path."""
    own = package_folder()
    return f"configs/{file.relative_to(own).as_posix()}" if file.is_relative_to(own) else str(file)


def _gives(word: str, path: KeyPath) -> bool:
    """Whether an override sets the key, or a section that contains it. `group=option` sets neither."""
    key = word.lstrip("+~").partition("=")[0]
    dotted = ".".join(path)
    if (package_folder() / key).is_dir():
        return False
    return key == dotted or (word.startswith("+") and dotted.startswith(f"{key}."))


def _inside(file: Path, section: KeyPath, path: KeyPath) -> KeyPath | None:
    """Returns the path of a key inside the file of a section. None: the file does not have it."""
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

"""Refuses unknown keys and values of the wrong type in a composed configuration.

Hydra refuses unknown keys on the command line, but a YAML file can add any key to a section without a schema.
Therefore every section is compared here with the keys that the code reads (`known_keys`, `targets`).

The keys of some sections are parameters of classes, whose import takes seconds (Lightning). These sections are compared
only if the user wrote into them: the tests compare those of the package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, is_dataclass, make_dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from mammal import console
from mammal.configuration import known_keys
from mammal.configuration.arguments import Arguments, package_folder
from mammal.configuration.durations import duration
from mammal.configuration.known_keys import GLOBAL_GROUPS, PACKAGE_LINE, SECTIONS, TRAINER_IS_GIVEN, keys_of
from mammal.configuration.own_tasks import replaces_ours
from mammal.configuration.sources import (
    ComposedFiles,
    KeyPath,
    composed_files,
    config_file_name,
    place_of,
    set_by_user,
    verb_configs,
)
from mammal.configuration.targets import HYDRA_KEYS, target_keys, trainer_keys
from mammal.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig


_OF_CLASSES = ("trainer", "optim", "schedule", "callbacks", "logger")
"""Sections whose keys are parameters of a class or function that must be imported."""


class Fault(NamedTuple):
    """A key or value that is wrong.

    Attributes:
        path: path of the key.
        what: what is wrong.
        hint: how to correct it.
    """

    path: KeyPath
    what: str
    hint: str | None = None


def check_config(verb: str, config: DictConfig, arguments: Arguments) -> None:
    """Refuses unknown keys, and values of the wrong type.

    Values of another type that can be converted (`test: "no"`) are converted in `config`.

    Args:
        verb: verb of the command line.
        config: the composed configuration, with or without the section `hydra`.
        arguments: the words from which it was composed. They show where a key was written.

    Raises:
        ConfigError: a key or value is wrong. The message contains the file and line (or the command line), the path of
            the key and the most similar valid key.
    """
    composed = composed_files(verb, arguments) if verb == "train" and arguments.config_dirs else None
    _check_shadows(arguments, composed or ())
    used = set(_referred(config))
    found = _train_faults(config, arguments, composed or ()) if verb == "train" else _verb_faults(verb, config)
    for fault in chain(found, _range_faults(config)):
        if fault.path not in used:
            raise ConfigError(fault.what, where=place_of(fault.path, verb, arguments, composed), hint=fault.hint)


def _check_shadows(arguments: Arguments, composed: ComposedFiles) -> None:
    """Refuses a config file of the user with the name of a file of the package: Hydra would ignore it silently.

    A task is an exception: the file of the user is read, and a line reports it.
    """
    for config, _ in composed:
        ours = package_folder() / f"{config}.yaml"
        for folder in arguments.config_dirs:
            theirs = folder / f"{config}.yaml"
            if replaces_ours(theirs):
                _tell_replaced(theirs, ours)
                break
            if theirs.is_file() and ours.is_file() and theirs.resolve() != ours.resolve():
                what = f"{config_file_name(ours)} has the same name and is read instead"
                raise ConfigError(what, where=str(theirs), hint="give the file another name")


@cache
def _tell_replaced(theirs: Path, ours: Path) -> None:
    console.note(f"task {theirs.stem} is read from {theirs}, not from {config_file_name(ours)}")


def _verb_faults(verb: str, config: DictConfig) -> Iterator[Fault]:
    """Finds unknown keys of a verb (its files list every key, so others come from `+key=value`) and wrong values."""
    from mammal.tasks.declaration.generation_settings import HYDRA_NAME, SETTINGS

    known = {"hydra", "paths"}
    for name, content in verb_configs(verb).items():
        known |= set(SETTINGS if name == HYDRA_NAME else content)
        known |= {str(group) for entry in content.get("defaults", ()) if isinstance(entry, dict) for group in entry}
    for key in config:
        if key not in known:
            yield _unknown((str(key),), known - {"hydra", "defaults"})
    yield from _value_faults(config, known_keys.VERB_TYPES.get(verb, {}), ())
    for name in ("paths", "mixture"):
        if _is_section(config.get(name)):
            yield from _section_faults(config[name], keys_of(known_keys.SECTIONS[name]), (name,))
    if "mixture" in config:
        yield from _task_faults(config)


def _train_faults(config: DictConfig, arguments: Arguments, composed: ComposedFiles) -> Iterator[Fault]:
    keys = keys_of(known_keys.RunConfig)
    for key in config:
        if key in GLOBAL_GROUPS:
            hint = f"write {PACKAGE_LINE} on the first line, so that its keys belong to the whole configuration"
            yield Fault((str(key),), f"nothing reads the section {key!r}", hint)
    yield from _section_faults(config, dict.fromkeys(GLOBAL_GROUPS, Any) | keys, ())
    for name, schema in SECTIONS.items():
        if config.get(name) is not None:
            yield from _section_faults(config[name], keys_of(schema), (name,))
    yield from _task_faults(config)
    yield from _adapt_faults(config.get("adapt"))
    if config.get("model") is not None:
        from mammal.model.config import ModelConfig

        yield from _section_faults(config.model, keys_of(ModelConfig), ("model",))
    imported = {name for name in _OF_CLASSES if config.get(name) is not None and set_by_user(name, arguments, composed)}
    if "trainer" in imported:
        yield from _trainer_faults(config.trainer)
    for name, given in (("optim", 1), ("schedule", 0)):
        if name in imported:
            yield from _made_faults(config[name], (name,), given)
    for group in ("callbacks", "logger"):
        entries = config[group] if group in imported else {}
        for name in entries:
            if entries[name] is not None:
                yield from _made_faults(entries[name], (group, str(name)))
    if "hydra" in config:
        yield from _sweep_faults(config)


def _task_faults(config: DictConfig) -> Iterator[Fault]:
    """Checks keys of a task's declaration and of the changes in a mixture. Their values are checked later."""
    from mammal.tasks.declaration.schema import TaskConfig

    if _is_section(config.get("task")):
        yield from _section_faults(config.task, keys_of(TaskConfig), ("task",), typed=False)
    tasks = config.mixture.get("tasks") if _is_section(config.get("mixture")) else None
    if tasks is not None and _is_section(tasks):
        for name, changes in tasks.items():
            path = ("mixture", "tasks", str(name))
            if _is_section(changes):
                keys = keys_of(known_keys.RateConfig) | keys_of(TaskConfig)
                yield from _section_faults(changes, keys, path, typed=False)
                yield from _value_faults(changes, keys_of(known_keys.RateConfig), path)


def _adapt_faults(section: Any) -> Iterator[Fault]:
    """Checks the group `adapt`. Each method reads keys of its own."""
    if not _is_section(section):
        return
    method = str(section.get("method"))
    own = keys_of(known_keys.ADAPT.get(method, known_keys.TrainedConfig))
    every = {key: kind for keys in known_keys.ADAPT.values() for key, kind in keys_of(keys).items()}
    if only := [str(key) for key in section if key in every.keys() - own.keys()]:
        readers = [name for name, keys in known_keys.ADAPT.items() if only[0] in keys_of(keys)]
        what = f"nothing reads 'adapt.{only[0]}' with adapt.method={method}"
        verb = "reads" if len(readers) == 1 else "read"
        yield Fault(("adapt", only[0]), what, f"adapt={' or '.join(readers)} {verb} it")
    yield from _section_faults(section, every, ("adapt",))


def _trainer_faults(section: DictConfig) -> Iterator[Fault]:
    for key in section:
        if key in TRAINER_IS_GIVEN:
            yield Fault(("trainer", str(key)), f"training sets 'trainer.{key}' itself", TRAINER_IS_GIVEN[str(key)])
    yield from _section_faults(section, trainer_keys(), ("trainer",))
    try:
        duration(section.get("max_time"))
    except ConfigError as error:
        yield Fault(("trainer", "max_time"), error.what, error.hint)


def _range_faults(config: DictConfig) -> Iterator[Fault]:
    """Finds numbers that are too small for their key."""
    from omegaconf import OmegaConf

    for key, least in chain(known_keys.LEAST.items(), ((key, None) for key in known_keys.ABOVE_ZERO)):
        value = OmegaConf.select(config, key, throw_on_missing=False)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if least is None and not value > 0:
            yield Fault(tuple(key.split(".")), f"{key} must be greater than 0, not {value}")
        elif least is not None and not value >= least:
            hint = "-1 means no limit" if least < 0 else None
            yield Fault(tuple(key.split(".")), f"{key} must be {least} or more, not {value}", hint)


def _made_faults(node: Any, path: KeyPath, given: int = 0) -> Iterator[Fault]:
    """Checks a section with `_target_`, and such sections inside it."""
    if not _is_section(node) or not node.get("_target_"):
        group = path[0]
        hint = f"choose an option that makes it ({group}=NAME), or write _target_: package.Class"
        yield Fault(path, f"nothing makes {'.'.join(path)!r}: it has no _target_", hint)
        return
    if (keys := target_keys(str(node["_target_"]), given)) is not None:
        yield from _section_faults(node, keys, path)
    for key in node:
        if key not in HYDRA_KEYS and _is_section(value := _raw(node, str(key))) and "_target_" in value:
            yield from _made_faults(value, (*path, str(key)))


def _sweep_faults(config: DictConfig) -> Iterator[Fault]:
    """Checks the keys that a sweep varies, before its first job."""
    from omegaconf import OmegaConf

    sweeper = config.hydra.get("sweeper")
    params = sweeper.get("params") if _is_section(sweeper) else None
    groups = {folder.name for folder in package_folder().iterdir() if folder.is_dir()}
    for key in params or {}:
        name = str(key).partition("@")[0]
        if name[:1] in "+~" or name.startswith("hydra.") or name in groups or name.replace("/", ".") in groups:
            continue
        *section, last = name.split(".")
        parent = OmegaConf.select(config, ".".join(section)) if section else config
        if parent is None and section and section[0] in ("task", "mixture"):
            continue  # a job of the sweep chooses it
        if not _is_section(parent) or last not in parent:
            path = ("hydra", "sweeper", "params", str(key))
            hint = did_you_mean(last, map(str, parent), noun="key") if _is_section(parent) else None
            yield Fault(path, f"the sweep varies {name!r}, but there is no such key", hint)


def _section_faults(section: Any, keys: Mapping[str, Any], path: KeyPath, *, typed: bool = True) -> Iterator[Fault]:
    """Finds unknown keys of a section, then values of the wrong type."""
    if not _is_section(section):
        yield Fault(path, f"{'.'.join(path)} is {section!r}, but must be a mapping of keys")
        return
    for key in section:
        if key not in keys:
            yield _unknown((*path, str(key)), keys)
        elif (nested := _dataclass_of(keys[key])) is not None and _is_section(value := _raw(section, str(key))):
            yield from _section_faults(value, keys_of(nested), (*path, str(key)), typed=typed)
    if typed:
        yield from _value_faults(section, keys, path)


YAML_FLOATS = {".inf": float("inf"), "-.inf": float("-inf")}
"""How YAML writes them. On the command line, Hydra reads `inf` as a number and `.inf` as text."""


def _value_faults(section: DictConfig, keys: Mapping[str, Any], path: KeyPath) -> Iterator[Fault]:
    """Finds values of the wrong type. A value that can be converted (such as a number in quotes) is replaced."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for key, hint in keys.items():
        if key not in section or OmegaConf.is_interpolation(section, key) or OmegaConf.is_missing(section, key):
            continue
        typed = _typed(hint)
        if typed is None:
            continue
        holder, value = OmegaConf.structured(typed), section[key]
        try:
            holder.value = YAML_FLOATS.get(value, value) if isinstance(value, str) else value
        except OmegaConfBaseException as error:
            dotted = ".".join((*path, key))
            words = _expected(hint)
            what = f"{dotted} must be {words}, not {value!r}" if words else f"{dotted} is {value!r}"
            yield Fault((*path, key), what, None if words else str(error).splitlines()[0])
        else:
            if type(holder.value) is not type(value):
                OmegaConf.update(section, key, holder.value)


@cache
def _typed(hint: Any) -> type | None:
    """Returns a dataclass with one field of this type. None: there is nothing that OmegaConf can check."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if hint is Any or _dataclass_of(hint) is not None:
        return None
    made = make_dataclass("Value", [("value", hint, field(default="???"))])
    try:
        OmegaConf.structured(made)
    except OmegaConfBaseException:
        return None
    return made


_WORDS = {int: ["a whole number"], float: ["a number"], bool: ["true", "false"], str: ["text"], type(None): ["null"]}


def _expected(hint: Any) -> str | None:
    kinds = get_args(hint) or (hint,)
    if any(kind not in _WORDS for kind in kinds):
        return None
    *first, last = [word for kind in kinds for word in _WORDS[kind]]
    return f"{', '.join(first)} or {last}" if first else last


def _unknown(path: KeyPath, keys: Iterable[str]) -> Fault:
    dotted, valid = ".".join(path), [key for key in keys if key not in HYDRA_KEYS]
    return Fault(path, f"there is no key {dotted!r}", did_you_mean(path[-1], valid, noun="key"))


def _dataclass_of(hint: Any) -> type | None:
    """Returns the dataclass in a type hint (`Class` or `Class | None`). None: there is none."""
    found = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type) and is_dataclass(kind)]
    return found[0] if found else None


def _is_section(node: Any) -> bool:
    from omegaconf import DictConfig

    return isinstance(node, DictConfig) and not node._is_none()


def _raw(section: DictConfig, key: str) -> Any:
    """Returns the value of a key, and None if it can't be resolved yet."""
    from omegaconf import OmegaConf

    return None if OmegaConf.is_interpolation(section, key) or OmegaConf.is_missing(section, key) else section[key]


_REFERENCE = re.compile(r"\$\{\s*(?:[\w.]+:\s*)?(\.*)([\w.]+)")


def _referred(config: DictConfig) -> Iterator[KeyPath]:
    """Yields the keys that interpolations read (`${peak}`), and the sections that contain them."""
    from omegaconf import OmegaConf

    for path, value in _leaves(OmegaConf.to_container(config, resolve=False), ()):
        for dots, name in _REFERENCE.findall(value) if isinstance(value, str) else ():
            base = path[: len(path) - len(dots)] if dots else ()
            whole = (*base, *name.split("."))
            yield from (whole[:end] for end in range(1, len(whole) + 1))


def _leaves(node: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _leaves(child, (*path, str(key)))
    elif isinstance(node, list):
        for child in node:
            yield from _leaves(child, path)
    else:
        yield path, node

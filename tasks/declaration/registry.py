"""Loading of task declarations by name: finds the YAML file, merges its `defaults`, and checks it.

Hydra composes the same files in commands (`mammal train task=bbbp`). It is not used here, for three reasons:

- Its compose API has one loader for the whole process. A running job of `mammal train` uses that loader, and a job with
  a mixture loads tasks while it runs.
- It finds configs below the roots of a search path. A task can be any YAML file (`load_task("assay.yaml")`) with
  defaults in the same folder or in any folder of tasks, and a user's task replaces the package's task of that name.
- It composes its own configuration for each file, so that the list of `mammal tasks` would take three times as long.

The defaults list of a task may therefore only hold names of other task files, `schema` and `_self_`; anything else is
an error here. `tests/unit/mammal/test_config_check.py` compares both readers on all tasks of the package.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mammal.tasks.declaration.check import check_keys, task_config
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import TaskError
from mammal.tokenization.errors import did_you_mean, likely_names, meant_name

SCHEMA = "schema"
CONFIG_DIRS_VARIABLE = "MAMMAL_CONFIGS"

_SEARCHED: ContextVar[tuple[str | Path, ...]] = ContextVar("_SEARCHED", default=())

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml reads the same language nine times as fast, where PyYAML was built with it."""


@contextmanager
def searching(config_dirs: Sequence[str | Path]) -> Iterator[None]:
    """Also searches folders of the user wherever a task is named in the `with` block, such as by `data.split`.

    Args:
        config_dirs: folders that contain `task/*.yaml`.
    """
    token = _SEARCHED.set(tuple(config_dirs))
    try:
        yield
    finally:
        _SEARCHED.reset(token)


def load_task(
    source: str | Path | Mapping[str, Any] | TaskConfig,
    overrides: Mapping[str, Any] | None = None,
    *,
    config_dirs: Sequence[str | Path] = (),
) -> TaskConfig:
    """Reads and checks the declaration of a task.

    Args:
        source: name of a task (`bbbp`), path of a YAML file, a mapping, or a finished declaration.
        overrides: nested mapping that replaces values, such as `{"standardise": "off"}`.
        config_dirs: further folders that contain `task/*.yaml`; they are searched first.

    Raises:
        TaskError: there is no such task, a key is misspelled, or a value is not valid.
    """
    if isinstance(source, TaskConfig):
        declared, where = _as_mapping(source), None
    elif isinstance(source, Mapping):
        declared, where = _plain(source), None
    else:
        file = _locate(str(source), config_dirs)
        declared, where = _compose(file, config_dirs), str(file)
    return task_config(_merge(declared, overrides or {}), where=where)


def list_tasks(config_dirs: Sequence[str | Path] = ()) -> dict[str, Path]:
    """Returns the name and the file of every task. Tasks of the user replace tasks of the package with the same name.

    Args:
        config_dirs: further folders that contain `task/*.yaml`; they are searched first.
    """
    found: dict[str, Path] = {}
    for folder in task_dirs(config_dirs):
        for file in sorted(folder.glob("*.yaml")):
            if not file.stem.startswith("_") and file.stem != SCHEMA:
                found.setdefault(file.stem, file)
    return dict(sorted(found.items()))


def task_dirs(config_dirs: Sequence[str | Path] = ()) -> list[Path]:
    """Returns the folders searched for tasks: the given ones, those of `searching`, those of `MAMMAL_CONFIGS`, our own.

    Args:
        config_dirs: further folders that contain `task/*.yaml`; they are searched first.
    """
    import mammal.configs

    own = Path(mammal.configs.__file__).parent
    named = [Path(d) for d in os.environ.get(CONFIG_DIRS_VARIABLE, "").split(os.pathsep) if d]
    folders = [Path(d) / "task" for d in [*config_dirs, *_SEARCHED.get(), *named, own]]
    return [folder for folder in folders if folder.is_dir()]


def _locate(source: str, config_dirs: Sequence[str | Path]) -> Path:
    if source.endswith((".yaml", ".yml")):
        file = Path(source)
        if not file.is_file():
            siblings = file.parent.glob("*.y*ml") if file.parent.is_dir() else ()
            hint = likely_names(file.name, (sibling.name for sibling in siblings))
            raise TaskError("no such task file", where=source, hint=hint)
        return file
    tasks = list_tasks(config_dirs)
    meant = meant_name(source, tasks)
    if meant is None:
        raise TaskError(f"unknown task {source!r}", hint=did_you_mean(source, tasks, noun="task"))
    return tasks[meant]


def _compose(file: Path, config_dirs: Sequence[str | Path]) -> dict[str, Any]:
    """Merges the files that the `defaults` list names, in their order; `_self_` is the file itself."""
    declared = dict(_read(file))
    defaults = declared.pop("defaults", ["_self_"])
    if "_self_" not in defaults:
        defaults = [*defaults, "_self_"]
    merged: dict[str, Any] = {}
    for entry in defaults:
        if entry == "_self_":
            _check_file(declared, file)
            merged = _merge(merged, declared)
        elif entry != SCHEMA:
            merged = _merge(merged, _compose(_neighbour(str(entry), file, config_dirs), config_dirs))
    return merged


def _neighbour(name: str, file: Path, config_dirs: Sequence[str | Path]) -> Path:
    folders = [file.parent, *task_dirs(config_dirs)]
    for folder in folders:
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    names = {f.stem for folder in folders for f in folder.glob("*.yaml")}
    raise TaskError(f"defaults name {name!r}, which is not a file", where=str(file), hint=did_you_mean(name, names))


@cache
def _parse(file: Path, _changed: int) -> Any:
    """The content of a YAML file; the modification time is part of the cache key, so an edited file is read again."""
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        raise TaskError(f"not valid YAML: {getattr(error, 'problem', error)}", where=where) from error


def _read(file: Path) -> dict[str, Any]:
    """The content of a task file. Its inner values are those of the cache: `task_config` copies what it keeps."""
    declared = _parse(file, file.stat().st_mtime_ns)
    if not isinstance(declared, Mapping):
        raise TaskError("a task file holds a mapping", where=str(file))
    return dict(declared)


def _check_file(declared: Mapping[str, Any], file: Path) -> None:
    try:
        check_keys(declared)
    except TaskError as error:
        line = line_of(file, error.what.split("'")[1].split("."))
        raise TaskError(error.what, where=f"{file}:{line}", hint=error.hint) from None


def line_of(file: Path, path: Sequence[str]) -> int:
    """Returns the line, from 1, of a key in a YAML file.

    Args:
        file: the file.
        path: keys from the top of the file to the key. If the file lacks one, the line of the last key before it is
            returned.
    """
    node, line = yaml.compose(file.read_text(encoding="utf-8")), 1
    for name in path:
        for key, value in getattr(node, "value", []):
            if key.value == name:
                node, line = value, key.start_mark.line + 1
                break
    return line


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _plain(source: Mapping[str, Any]) -> dict[str, Any]:
    from omegaconf import DictConfig, OmegaConf

    plain = OmegaConf.to_container(source, resolve=True) if isinstance(source, DictConfig) else source
    return deepcopy(dict(plain))  # type: ignore[arg-type]


def _as_mapping(config: TaskConfig) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(config)

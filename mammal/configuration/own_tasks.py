"""Tasks of the user that have the name of a task of the package: theirs is read, as `mammal.tasks` does it.

Hydra reads the first file of a name on its search path, and `hydra.searchpath` only adds folders behind our own. A
plugin of Hydra can put a folder in front; it is active inside `own_tasks_first`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.configuration.arguments import Arguments, package_folder

if TYPE_CHECKING:
    from hydra.core.config_search_path import ConfigSearchPath

GROUP = "task/"

_in_front: ContextVar[tuple[Path, ...]] = ContextVar("folders of configs that Hydra reads before ours", default=())


@contextmanager
def own_tasks_first(arguments: Arguments) -> Iterator[None]:
    """Inside, a search path that Hydra makes begins with the user's folders that have a task with a name of ours."""
    folders = tuple(folder for folder in arguments.config_dirs if any(map(replaces_ours, _tasks(folder))))
    if folders:
        _register()
    before = _in_front.set(folders)
    try:
        yield
    finally:
        _in_front.reset(before)


def replaces_ours(file: Path) -> bool:
    """Whether a task file of the user has the name of a task of the package and is another file."""
    ours = package_folder() / GROUP / file.name
    same_name = file.is_file() and ours.is_file() and not file.name.startswith("_")
    return same_name and file.parent.name == GROUP.rstrip("/") and file.resolve() != ours.resolve()


def _tasks(folder: Path) -> list[Path]:
    return sorted((folder / GROUP).glob("*.yaml"))


@cache
def _register() -> None:
    """Makes the plugin known to Hydra, which looks for others in installed packages."""
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    class OwnTasksFirst(SearchPathPlugin):
        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            for folder in reversed(_in_front.get()):
                search_path.prepend("mammal", f"file://{folder.resolve()}")

    Plugins.instance().register(OwnTasksFirst)

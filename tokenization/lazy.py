"""Looks up names of modules when they are first used (PEP 562): public names of packages, and names that have changed.

The modules that define a package's public names are imported only then, so importing the package is fast.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, str], renamed: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns a package's `__getattr__` and `__dir__`.

        __getattr__, __dir__ = lazy_names(__name__, {"Task": "mammal.tasks.task"})

    Args:
        package: its `__name__`.
        homes: public name -> full name of the module that defines it.
        renamed: old public name -> new one. The old name still works for one version, with a DeprecationWarning.

    Raises:
        AttributeError: from the returned `__getattr__`, if the package has no such public name.
    """

    def get(name: str) -> Any:
        if renamed and name in renamed:
            name = _new_name(package, name, renamed)
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get, lambda: sorted(homes)


def old_names(module: str, renamed: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns the `__getattr__` of a module in which names have changed.

        __getattr__ = old_names(__name__, {"title": "result_title"})

    Args:
        module: its `__name__`.
        renamed: old name -> new one. The old name still works for one version, with a DeprecationWarning.

    Raises:
        AttributeError: from the returned `__getattr__`, if the module has no such name.
    """

    def get(name: str) -> Any:
        if name not in renamed:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(import_module(module), _new_name(module, name, renamed))

    return get


def _new_name(module: str, name: str, renamed: Mapping[str, str]) -> str:
    """The new name, with a warning at the line that asks the module for the old one."""
    new = renamed[name]
    message = f"{module}.{name} is now {module}.{new}; the old name goes in the next version"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return new

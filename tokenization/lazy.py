"""Imports public names of a package when they are first used (PEP 562), so that importing the package is fast."""

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
            new = renamed[name]
            message = f"{package}.{name} is now {package}.{new}; the old name goes in the next version"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            name = new
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get, lambda: sorted(homes)

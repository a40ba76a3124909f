"""Functions of upper layers that a lower layer offers as methods, such as `Mammal.finetune`.

`mammal/__init__.py` registers them by name, so that no module imports a layer above its own.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

_HOMES: dict[str, str] = {}


def register(name: str, module: str) -> None:
    """Records which module defines a function.

    Args:
        name: of the function.
        module: its full name; it is imported when the function is first used.
    """
    _HOMES[name] = module


def function(name: str) -> Callable[..., Any]:
    """Returns a registered function.

    Raises:
        KeyError: no function of this name is registered.
    """
    found: Callable[..., Any] = getattr(import_module(_HOMES[name]), name)
    return found

"""Functions of upper layers that a lower layer offers or calls: `Mammal.finetune`, the page of `mammal.evaluate`.

`mammal/__init__.py` registers them by name, so that no module imports a layer above its own.
"""

from __future__ import annotations

from mammal.tokenization.lazy import lazy_names

_HOMES: dict[str, str] = {}
"""Name of a function -> its module. Filled once, when `mammal` is imported, and only read from then on."""


def register(name: str, module: str) -> None:
    """Makes a function an attribute of this module.

    Args:
        name: of the function.
        module: the full name of the module that defines it; it is imported when the function is first used.
    """
    _HOMES[name] = module


__getattr__, __dir__ = lazy_names(__name__, _HOMES)

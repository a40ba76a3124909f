"""Functions of upper layers that a lower layer calls: those of `Mammal.finetune`, `Mammal.export` and the page of
`mammal.evaluate`.

`mammal/__init__.py` registers them by name, so that no module imports from a layer above its own.
"""

from __future__ import annotations

from mammal.tokenization.lazy import lazy_names

_HOMES: dict[str, str] = {}
"""For each function, the name of its module. It is filled when `mammal` is imported, and only read afterwards."""


def register(name: str, module: str) -> None:
    """Makes a function an attribute of this module.

    Args:
        name: name of the function.
        module: full name of the module that defines it. The module is imported when the function is first used.
    """
    _HOMES[name] = module


__getattr__, __dir__ = lazy_names(__name__, _HOMES)

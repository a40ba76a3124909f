"""Names of molecules: from a structure (openclatura), and back to one (OPSIN, which needs Java).

    from mammal.tasks.names import name_of, structure_of
    name_of("CC(C)O")                 # 'propan-2-ol'
    structure_of(["propan-2-ol"])     # ['CC(C)O']

Public names are imported when first used, so that neither RDKit nor openclatura is loaded before that.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {"make_pairs": "roundtrip", "name_of": "naming", "structure_of": "structures"}

__all__ = ["make_pairs", "name_of", "structure_of"]

if TYPE_CHECKING:
    from mammal.tasks.names.naming import name_of
    from mammal.tasks.names.roundtrip import make_pairs
    from mammal.tasks.names.structures import structure_of


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

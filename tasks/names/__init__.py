"""Names of molecules: from structure to name (openclatura), and from name to structure (OPSIN, which needs Java).

    from mammal.tasks.names import name_of, structure_of
    name_of("CC(C)O")                 # 'propan-2-ol'
    structure_of(["propan-2-ol"])     # ['CC(C)O']

Public names are imported when first used (PEP 562).
"""

from typing import TYPE_CHECKING

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "make_pairs": "mammal.tasks.names.roundtrip",
    "name_of": "mammal.tasks.names.naming",
    "structure_of": "mammal.tasks.names.structures",
}

__all__ = ["make_pairs", "name_of", "structure_of"]

if TYPE_CHECKING:
    from mammal.tasks.names.naming import name_of
    from mammal.tasks.names.roundtrip import make_pairs
    from mammal.tasks.names.structures import structure_of

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

"""Names of molecules: from a structure (openclatura), and back to one (OPSIN, which needs Java).

    from mammal.tasks.names import name_of, structure_of
    name_of("CC(C)O")                 # 'propan-2-ol'
    structure_of(["propan-2-ol"])     # ['CC(C)O']

Public names are imported when first used (PEP 562).
"""

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "make_pairs": "mammal.tasks.names.roundtrip",
    "name_of": "mammal.tasks.names.naming",
    "structure_of": "mammal.tasks.names.structures",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

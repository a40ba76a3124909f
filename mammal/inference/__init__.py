"""The Python API: the `Mammal` class, and the questions that can be put to a model.

Public names are imported when first used (PEP 562).
"""

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "Mammal": "mammal.inference.api",
    "load": "mammal.inference.api",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

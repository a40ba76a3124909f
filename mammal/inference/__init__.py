"""The Python API: the `Mammal` class, and the questions that can be put to a model.

Public names are imported when first used (PEP 562).
"""

from typing import TYPE_CHECKING

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "Mammal": "mammal.inference.api",
    "load": "mammal.inference.api",
}

__all__ = ["Mammal", "load"]

if TYPE_CHECKING:
    from mammal.inference.api import Mammal, load

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

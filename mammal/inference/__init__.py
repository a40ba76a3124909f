"""The Python API: the `Mammal` class, and the questions that a model answers.

Public names are imported on first use (PEP 562).
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

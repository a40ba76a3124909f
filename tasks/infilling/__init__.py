"""Infilling: rows hide stretches of their sequences, and the answer fills them in.

Public names are imported when first used (PEP 562).
"""

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "ALPHABETS": "mammal.tasks.infilling.marks",
    "MARK": "mammal.tasks.infilling.marks",
    "SENTINEL": "mammal.tasks.infilling.marks",
    "SENTINELS": "mammal.tasks.infilling.marks",
    "filled": "mammal.tasks.infilling.marks",
    "hide": "mammal.tasks.infilling.marks",
    "marked": "mammal.tasks.infilling.marks",
    "places": "mammal.tasks.infilling.marks",
    "sentinels_in": "mammal.tasks.infilling.marks",
    "stretches": "mammal.tasks.infilling.marks",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

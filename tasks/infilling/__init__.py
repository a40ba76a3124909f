"""Infilling: parts of a row's sequences are hidden, and the answer fills them in.

Public names are imported when first used (PEP 562).
"""

from typing import TYPE_CHECKING

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

__all__ = [
    "ALPHABETS",
    "MARK",
    "SENTINEL",
    "SENTINELS",
    "filled",
    "hide",
    "marked",
    "places",
    "sentinels_in",
    "stretches",
]

if TYPE_CHECKING:
    from mammal.tasks.infilling.marks import (
        ALPHABETS,
        MARK,
        SENTINEL,
        SENTINELS,
        filled,
        hide,
        marked,
        places,
        sentinels_in,
        stretches,
    )

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

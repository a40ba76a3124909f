"""Bundles: model folders that explain themselves. Reading, writing, finding them, their cards and adapters.

Public names are imported when first used (PEP 562).
"""

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "Bundle": "mammal.bundle.folder",
    "Card": "mammal.bundle.card",
    "FORMAT": "mammal.bundle.folder",
    "locate": "mammal.bundle.locate",
    "read_bundle": "mammal.bundle.folder",
    "render_card": "mammal.bundle.card",
    "save_bundle": "mammal.bundle.folder",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

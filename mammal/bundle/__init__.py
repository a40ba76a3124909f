"""Bundles: folders with a model and everything that is needed to use it.

The modules find, read and write bundles, their model cards and their adapters. Public names are imported on first use
(PEP 562).
"""

from typing import TYPE_CHECKING

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "Bundle": "mammal.bundle.folder",
    "Card": "mammal.bundle.card",
    "FORMAT": "mammal.bundle.folder",
    "read_bundle": "mammal.bundle.folder",
    "render_card": "mammal.bundle.card",
    "save_bundle": "mammal.bundle.folder",
}

__all__ = ["FORMAT", "Bundle", "Card", "read_bundle", "render_card", "save_bundle"]

if TYPE_CHECKING:
    from mammal.bundle.card import Card, render_card
    from mammal.bundle.folder import FORMAT, Bundle, read_bundle, save_bundle

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

"""Cheap baselines, fitted on the training rows of a model, and similarity to these rows.

Public names are imported when first used (PEP 562).
"""

from typing import TYPE_CHECKING

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "Recipe": "mammal.tasks.baselines.fit",
    "baselines": "mammal.tasks.baselines.fit",
    "recipes": "mammal.tasks.baselines.fit",
    "seeded_baselines": "mammal.tasks.baselines.fit",
}

__all__ = ["Recipe", "baselines", "recipes", "seeded_baselines"]

if TYPE_CHECKING:
    from mammal.tasks.baselines.fit import Recipe, baselines, recipes, seeded_baselines

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

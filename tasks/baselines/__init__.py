"""Cheap baselines, fitted on the training rows of a model, and similarity to these rows.

Public names are imported when first used (PEP 562).
"""

from typing import TYPE_CHECKING

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "Fitted": "mammal.tasks.baselines.fit",
    "Recipe": "mammal.tasks.baselines.recipe",
    "baselines": "mammal.tasks.baselines.fit",
    "fit_baselines": "mammal.tasks.baselines.fit",
    "recipes": "mammal.tasks.baselines.recipe",
    "seeded_baselines": "mammal.tasks.baselines.fit",
}

__all__ = ["Fitted", "Recipe", "baselines", "fit_baselines", "recipes", "seeded_baselines"]

if TYPE_CHECKING:
    from mammal.tasks.baselines.fit import Fitted, baselines, fit_baselines, seeded_baselines
    from mammal.tasks.baselines.recipe import Recipe, recipes

__getattr__, __dir__ = lazy_names(__name__, _HOMES)

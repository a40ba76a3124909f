"""`{smiles:morgan}`: Morgan count fingerprint of a molecule (Rogers & Hahn 2010, ECFP4), folded to 2,048 entries."""

from __future__ import annotations

import numpy as np

from mammal.tasks.features.feature import Feature
from mammal.tasks.molecules.chemistry import morgan_counts

RADIUS, BITS = 2, 2048


class Morgan(Feature):
    """log(1 + count) of each environment, so that frequent groups such as CH2 do not dominate; needs no fitting.

    As a target: whether the molecule contains each environment.
    """

    name = "morgan"
    target_loss = "binary"
    of_molecules = True

    @property
    def width(self) -> int:
        return BITS

    def of(self, text: str) -> np.ndarray:
        return np.log1p(morgan_counts([text], RADIUS, BITS)[0]).astype(np.float32)

    def values(self, text: str) -> np.ndarray:
        """Returns 1 for each environment that the molecule contains, else 0, float32 [2048]."""
        return (morgan_counts([text], RADIUS, BITS)[0] > 0).astype(np.float32)

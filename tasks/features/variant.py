"""The feature `variant` of probes: the change that is written in place in DNA, without the rest of the window."""

from __future__ import annotations

import numpy as np

from mammal.tasks.dna.sequence_features import variant_changes, variant_width
from mammal.tasks.errors import DataError
from mammal.tasks.features.feature import Feature
from mammal.tokenization.variants import variant_spans

LONGEST = 4
"""Maximum length of k-mers."""


class Variant(Feature):
    """The description of the change as for baselines on the variant (`variant_changes`); needs no fitting."""

    name = "variant"

    @property
    def width(self) -> int:
        return variant_width(LONGEST)

    def of(self, text: str) -> np.ndarray:
        """Computes the description of a text's change, float32 [width].

        Args:
            text: DNA text in in-place notation.

        Raises:
            DataError: the text has no variant in place.
            PromptError: the text is not valid in-place notation.
        """
        if not variant_spans(text):
            raise DataError("no variant is written in place", hint="write the change as [A/G]")
        return variant_changes([text], LONGEST).toarray()[0].astype(np.float32)

"""The base class of features: a feature is a vector computed from a column, at one `<EMBEDDINGS>` token of a prompt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np


class Feature(ABC):
    """A feature of a column.

    The model projects the vector to its own width, with weights for each `name`: entry k of the vector has its own
    direction, scaled by its value.

    Attributes:
        name: name after the colon in a template, and name of the projection in the model.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of entries of the vector."""

    @abstractmethod
    def of(self, text: str) -> np.ndarray:
        """Computes the vector of a text, float32 [width], finite."""

    def fit(self, texts: Sequence[str]) -> None:  # noqa: B027
        """Fits the feature on texts of training rows; does nothing for features without a scale."""

    @property
    def is_fitted(self) -> bool:
        return True

    def state(self) -> dict[str, Any]:
        """Returns the fitted values, as plain values for `task.yaml` of a bundle."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Restores what `state` returned."""

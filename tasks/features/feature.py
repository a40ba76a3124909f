"""What a feature is: a vector computed from a column, which the prompt holds at one `<EMBEDDINGS>` token."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np


class Feature(ABC):
    """One feature of one column.

    The model projects the vector to its own width, with weights that belong to `name`: number k of the vector has its
    own direction, scaled by its value.

    Attributes:
        name: what stands behind the colon in a template, and names the projection in the model.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers in the vector."""

    @abstractmethod
    def of(self, text: str) -> np.ndarray:
        """float32 [width], finite."""

    def fit(self, texts: Sequence[str]) -> None:  # noqa: B027
        """Learn from the training rows' texts; features without a scale have nothing to learn."""

    @property
    def is_fitted(self) -> bool:
        return True

    def state(self) -> dict[str, Any]:
        """What was fitted, as plain values for the bundle's `task.yaml`."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Take back what `state` gave."""

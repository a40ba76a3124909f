"""The base class of features: a feature is a vector computed from a column.

In an input it is at one `<EMBEDDINGS>` token of the prompt. In the target of a task of kind `features` it is predicted:
`values` computes what depends on the text alone, and `target` scales it with what `fit_target` found in training rows.

Shapes: N texts, F entries of the vector.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

Progress = Callable[[int], None]
"""Function that is called with the number of texts that were just finished."""


class Feature(ABC):
    """A feature of a column.

    The model projects the vector to its own width, with weights for each `name`: entry k of the vector has its own
    direction, scaled by its value.

    Attributes:
        name: name after the colon in a template, name of the projection in the model and of the head that predicts it.
        target_loss: loss of the head: `squared` error, or `binary` cross entropy of entries that are 0 or 1.
        scaled_target: whether `fit_target` fits a scale.
        of_molecules: whether it is computed from molecules.
    """

    name: ClassVar[str]
    target_loss: ClassVar[Literal["squared", "binary"]] = "squared"
    scaled_target: ClassVar[bool] = False
    of_molecules: ClassVar[bool] = False

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of entries of the vector."""

    @abstractmethod
    def of(self, text: str) -> np.ndarray:
        """Computes the vector of a text, float32 [width], finite."""

    def fit(self, texts: Sequence[str]) -> None:  # noqa: B027
        """Fits the feature on texts of training rows; does nothing for features without a scale."""

    def compute(self, texts: Sequence[str], progress: Progress | None = None) -> None:  # noqa: B027
        """Computes what is slow ahead of `fit` and `of`, and keeps it; does nothing for features that keep nothing.

        Args:
            texts: texts that `of` will get.
            progress: function that is called with the number of distinct texts that were just finished.
        """

    @property
    def is_fitted(self) -> bool:
        return True

    def state(self) -> dict[str, Any]:
        """Returns the fitted values, as plain values for `task.yaml` of a bundle."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Restores what `state` returned."""

    # As a target

    def values(self, text: str) -> np.ndarray:
        """Computes what a target needs of a text and does not depend on training rows, [F]."""
        return self.of(text)

    def fit_target(self, values_NF: np.ndarray) -> None:  # noqa: B027
        """Fits the scale of targets; does nothing for features without a scale.

        Args:
            values_NF: `values` of the training rows.
        """

    def target(self, values_F: np.ndarray) -> np.ndarray:
        """Returns the expected output of the head, float32 [F], NaN where an entry is unknown or not predicted.

        Args:
            values_F: `values` of a text.
        """
        return np.asarray(values_F, dtype=np.float32)

    def target_of(self, text: str) -> np.ndarray:
        """Returns the expected output of the head for a text, float32 [F], NaN where an entry is unknown.

        Args:
            text: the text, which can be read (a molecule that RDKit can parse).
        """
        return self.target(self.values(text))

    def original(self, predicted_F: np.ndarray) -> np.ndarray:
        """Returns predictions in the unit of `values`, float32 [F], NaN where an entry is not predicted.

        Args:
            predicted_F: outputs of the head; probabilities for the loss `binary`.
        """
        return np.asarray(predicted_F, dtype=np.float32)

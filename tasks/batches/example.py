"""One encoded row, before batching.

Shapes: L encoder tokens, T target tokens, R positions read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mammal.tokenization.encoding import Encoding


@dataclass(frozen=True)
class Target:
    """One text that a decoder row is to produce.

    Attributes:
        ids_T: its tokens; decoder inputs are `<DECODER_START>` followed by all but the last of them.
        read_R: the steps whose token, or value, is asked for.
        labels_R: token ids expected there, IGNORE where unknown; None at inference (`ids_T` then holds placeholders).
        values_T, has_value_T: values carried by the tokens, None if none has any.
        label_values_R: values expected at `read_R`, NaN where unknown; None: those that the tokens there carry.
        bounds_R: 1 or -1 where the value expected there is the least or the most that the truth can be; None: nowhere.
        weights_R: weights of `labels_R` in the loss; None: 1.
        feeds_back: see `Batch.feeds_back`.
    """

    ids_T: np.ndarray
    read_R: np.ndarray
    labels_R: np.ndarray | None = None
    values_T: np.ndarray | None = None
    has_value_T: np.ndarray | None = None
    label_values_R: np.ndarray | None = None
    bounds_R: np.ndarray | None = None
    weights_R: np.ndarray | None = None
    feeds_back: bool = False


@dataclass(frozen=True)
class Example:
    """What a task makes of one row.

    Attributes:
        row_id: the caller's name of the row.
        input: the encoded encoder prompt.
        read_R: encoder mode: positions where heads are read.
        labels_R: encoder mode: token labels there, None at inference or where values alone are asked for.
        label_values_R: encoder mode: values expected there (scaled), NaN where unknown; None at inference.
        label_bounds_R, label_weights_R: encoder mode: as `Target.bounds_R` and `Target.weights_R`.
        targets: decoder mode: one for each decoder row.
    """

    row_id: object
    input: Encoding
    read_R: np.ndarray | None = None
    labels_R: np.ndarray | None = None
    label_values_R: np.ndarray | None = None
    label_bounds_R: np.ndarray | None = None
    label_weights_R: np.ndarray | None = None
    targets: tuple[Target, ...] = ()

    @property
    def tokens(self) -> int:
        """Encoder and decoder tokens of the row."""
        return len(self.input) + sum(len(target.ids_T) for target in self.targets)

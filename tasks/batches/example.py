"""Encoded rows, before batching.

Shapes: L encoder tokens, T target tokens, R positions read, F entries of a vector, X entries of
features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mammal.tokenization.encoding import Encoding


@dataclass(frozen=True)
class Target:
    """The target text of one decoder row.

    Attributes:
        ids_T: token ids, int [T]; decoder inputs are `<DECODER_START>` followed by all ids except the last.
        read_R: steps at which a token or a value is predicted, int64 [R].
        labels_R: expected token ids at these steps, IGNORE if unknown; None at inference (`ids_T` then holds
            placeholders).
        values_T: values that the tokens carry, float32 [T]; None if no token has one.
        has_value_T: whether a token carries a value, bool [T]; None if no token has one.
        label_values_R: expected values at `read_R`, NaN if unknown; None: the values that the tokens there carry.
        bounds_R: 1 or -1 if the expected value is a lower or an upper bound of the truth; None: nowhere.
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
    """One encoded row of L input tokens, T target tokens and R positions that heads read.

    Attributes:
        row_id: name that the caller gave the row.
        input: encoded prompt of the encoder.
        read_R: encoder mode: int64 [R], positions where heads read.
        labels_R: encoder mode: integers [R], token labels at these positions. None at inference, or if only values are
            read.
        label_values_R: encoder mode: float32 [R], scaled values expected there, NaN if unknown. None at inference.
        label_bounds_R: encoder mode: int8 [R], 1 or -1 if the label is a lower or an upper bound. None: nowhere.
        label_weights_R: encoder mode: float32 [R], weights of `labels_R` in the loss. None: 1.
        label_vectors: name of a vector head -> float32 [F], expected vector, NaN where an entry is unknown. None at
            inference, and for tasks without vectors.
        given_X: float32 [X], features of the row that a probe reads in addition to states of the encoder. None: none.
        fingerprint_X: uint8 [X], packed fingerprint of the row's molecule, which is compared with training molecules.
            None: it is not compared.
        targets: decoder mode: one target for each decoder row.
        target_is_cut: the text of the target was longer than its limit, and lost tokens.
    """

    row_id: object
    input: Encoding
    read_R: np.ndarray | None = None
    labels_R: np.ndarray | None = None
    label_values_R: np.ndarray | None = None
    label_bounds_R: np.ndarray | None = None
    label_weights_R: np.ndarray | None = None
    label_vectors: Mapping[str, np.ndarray] | None = None
    given_X: np.ndarray | None = None
    fingerprint_X: np.ndarray | None = None
    targets: tuple[Target, ...] = ()
    target_is_cut: bool = False

    @property
    def is_cut(self) -> bool:
        """Whether a text of the row was longer than its limit, so that the model does not read all of it."""
        return self.input.is_cut or self.target_is_cut

    @property
    def tokens(self) -> int:
        """Number of encoder and decoder tokens of the row."""
        return len(self.input) + sum(len(target.ids_T) for target in self.targets)

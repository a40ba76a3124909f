"""An encoded prompt: token ids, the values of some tokens, and the positions of tokens in the text.

Shapes: L tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np


class External(NamedTuple):
    """Vectors that were computed outside the model, at consecutive tokens.

    Attributes:
        start: position of the first token.
        name: source of the vectors, such as `esm2` or `descriptors`. A model can have weights of that name for their
            projection.
        vectors_XW: the vectors, float32, one row for each token.
    """

    start: int
    name: str
    vectors_XW: np.ndarray


@dataclass(frozen=True)
class Encoding:
    """One encoded prompt of L tokens.

    Attributes:
        ids_L: int32 [L], token ids.
        values_L: float32 [L], values that tokens carry; 0 where `has_value_L` is False.
        has_value_L: bool [L], True where the token carries a value (`<SCALAR>`, or any token written with a value).
        mask_L: bool [L], False only on padding. A `<PAD>` in the text is True, as in the published code.
        embeddings: external embeddings, one for each slot.
        is_cut: the prompt was longer than a limit, and lost tokens.
        locate: computes `offsets_L2`. None if the positions are not known.
    """

    ids_L: np.ndarray
    values_L: np.ndarray
    has_value_L: np.ndarray
    mask_L: np.ndarray
    embeddings: tuple[External, ...] = ()
    is_cut: bool = False
    locate: Callable[[], np.ndarray] | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.ids_L)

    @cached_property
    def offsets_L2(self) -> np.ndarray:
        """int32 [L, 2], the characters [start, end) of the prompt that each token covers; (-1, -1) for padding.

        It is computed when it is used for the first time. `Prompt.value_span` converts it to positions in the user's
        own value.
        """
        if self.locate is None:
            return np.full((len(self.ids_L), 2), -1, dtype=np.int32)
        return self.locate()

"""The interface between decoding and what a sequence may be.

A grammar walks along a sequence, one token at a time, and says at each step which tokens may come next.
Shapes: V ids that the grammar may ever allow.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

import numpy as np

State = Hashable
"""Where a grammar stands in a sequence: immutable, so that beams and copies may share it."""


class Grammar(Protocol):
    """Which token may follow which.

    Attributes:
        ids_V: sorted int64 ids that may ever be produced, `<EOS>` among them; the token head is sliced to them.
    """

    @property
    def ids_V(self) -> np.ndarray: ...

    def start(self) -> Any:
        """The state before the first token."""

    def mask(self, state: Any, left: int) -> np.ndarray:
        """Which columns of `ids_V` may come next: bool [V], read-only, shared between equal calls.

        Args:
            left: tokens that may still be produced, this one and `<EOS>` included. A token after which the sequence
                could no longer be finished within them is not allowed.

        Returns:
            Never all False as long as `left` is enough to finish the sequence (`least_new_tokens` at the start, and
            whatever the masks left over afterwards); after `<EOS>` the mask is all False.
        """

    def advance(self, state: Any, column: int) -> Any:
        """The state after the token of this column of `ids_V`, which `mask` allowed."""

    @property
    def least_new_tokens(self) -> int:
        """The fewest tokens of a whole sequence, `<EOS>` included: less than this can't be asked for."""

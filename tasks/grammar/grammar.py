"""The interface of grammars, which decoding uses to allow only valid sequences.

A grammar follows a sequence token by token, and gives at each step the tokens that may come next.
Shapes: V ids that the grammar can allow in any state.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

import numpy as np

State = Hashable
"""State of a grammar within a sequence; immutable, so that beams and copies can share it."""


class Grammar(Protocol):
    """The protocol of a grammar.

    Attributes:
        ids_V: sorted ids that can be generated, int64 [V], including `<EOS>`; the token head scores only these.
    """

    @property
    def ids_V(self) -> np.ndarray: ...

    def start(self) -> Any:
        """Returns the state before the first token."""

    def mask(self, state: Any, left: int) -> np.ndarray:
        """Returns whether each column of `ids_V` may come next.

        Args:
            state: the state after the tokens so far.
            left: number of tokens that may still be generated, the next one and `<EOS>` included. A token is not
                allowed if the sequence could not be finished within this number.

        Returns:
            bool [V], read-only, shared between equal calls. It is never all False as long as `left` is enough to finish
            the sequence: at least `least_new_tokens` at the start, and one less after each token. After `<EOS>` it is
            all False.
        """

    def advance(self, state: Any, column: int) -> Any:
        """Returns the state after the token of a column of `ids_V`, which `mask` must have allowed."""

    @property
    def least_new_tokens(self) -> int:
        """Minimum number of tokens of a complete sequence, `<EOS>` included; a lower limit can't be requested."""

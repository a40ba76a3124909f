"""Where generated sequences end."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LengthLimits:
    """Where sequences end, and the ids of special tokens.

    Attributes:
        max_new_tokens: maximal number of tokens, `<EOS>` included.
        eos_id: id of `<EOS>`, which ends a sequence.
        pad_id: id that fills ended sequences.
        scalar_id: id of the token that carries a value; None: no token does.
        min_new_tokens: `<EOS>` is not produced before this number of tokens.
        stop_ids: ids of tokens that end a sequence in the same way as `<EOS>`.
    """

    max_new_tokens: int
    eos_id: int
    pad_id: int
    scalar_id: int | None = None
    min_new_tokens: int = 0
    stop_ids: tuple[int, ...] = ()

    def ends(self, ids: Tensor) -> Tensor:
        """Whether each of these tokens ends a sequence."""
        ended = ids == self.eos_id
        for stop_id in self.stop_ids:
            ended = ended | (ids == stop_id)
        return ended

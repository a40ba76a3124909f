"""Where generated sequences end."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LengthLimits:
    """Where sequences end, what fills them after that, and which token carries a value (None: none does).

    Attributes:
        min_new_tokens: tokens before which no `<EOS>` is produced.
        stop_ids: tokens that end a sequence as `<EOS>` does.
    """

    max_new_tokens: int
    eos_id: int
    pad_id: int
    scalar_id: int | None = None
    min_new_tokens: int = 0
    stop_ids: tuple[int, ...] = ()

    def ends(self, ids: Tensor) -> Tensor:
        """Which of these tokens end a sequence."""
        ended = ids == self.eos_id
        for stop_id in self.stop_ids:
            ended = ended | (ids == stop_id)
        return ended

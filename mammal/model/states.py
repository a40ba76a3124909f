"""States of the network: those of the encoder, and those that heads read.

Shapes: as in `mammal.tasks.batches.batch`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from mammal.model.packing import Packing


@dataclass(frozen=True)
class Memory:
    """The packed final states of the encoder for a batch.

    Attributes:
        states_NW: the states.
        packing: packing of the tokens.
        of_members: states of members of an ensemble whose encoder differs, by position of the member. They are filled
            in when they are first needed, so that several tasks can use them.
    """

    states_NW: Tensor
    packing: Packing
    of_members: dict[int, Memory] = field(default_factory=dict)

    def hidden(self, length: int) -> Tensor:
        """Padded states [B, length, W], with zeros for padding."""
        return nn.functional.pad(self.packing.pad(self.states_NW), (0, 0, 0, length - self.packing.length))


@dataclass(frozen=True)
class Reads:
    """The states that heads read, and the positions of their outputs.

    Attributes:
        states_MW: states at the read positions, row by row.
        slots_M: flat indices in [D, R], int64; None if every place is read.
        shape: (D, R).
    """

    states_MW: Tensor
    slots_M: Tensor | None
    shape: tuple[int, int]

    def scatter(self, values_MX: Tensor) -> Tensor:
        """Arranges outputs of heads: [M, ...] to [D, R, ...], with zeros where nothing is read."""
        if self.slots_M is not None:
            empty = values_MX.new_zeros(self.shape[0] * self.shape[1], *values_MX.shape[1:])
            values_MX = empty.index_copy(0, self.slots_M, values_MX)
        return values_MX.unflatten(0, self.shape)

"""Keys and values of encoded prompts, which the decoder reads at each step.

Shapes: B prompts, H heads, L encoder tokens, K width of a head, N packed encoder tokens, I = H * K.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mammal.model.attention import blocked
from mammal.model.model import MammalModel
from mammal.model.states import Memory

_ROOM = 32
"""If prompts of other lengths enter, the room for a prompt becomes a multiple of this number of tokens."""


class PromptKeys:
    """Keys and values of prompts for each block of the decoder.

    Args:
        layers: keys and values of each block, [B, H, L, K] each; any numbers for padding.
        lengths_B: number of positions of each prompt up to its last token, int64 [B].
        hidden_BL: True for padding, bool [B, L]; None: there is no padding.
    """

    def __init__(self, layers: list[tuple[Tensor, Tensor]], lengths_B: np.ndarray, hidden_BL: Tensor | None):
        self.layers, self._lengths_B, self._hidden_BL = layers, lengths_B, hidden_BL
        self._bias_B11L: Tensor | None = None

    @classmethod
    def of(cls, model: MammalModel, memory: Memory) -> PromptKeys:
        """Computes them from the states of the encoder."""
        packing, heads = memory.packing, model.config.num_heads

        def split(x_NI: Tensor) -> Tensor:
            return packing.pad(x_NI).unflatten(2, (heads, -1)).transpose(1, 2).contiguous()

        projected = (
            block.cross.EncDecAttention.project_memory(memory.states_NW) for block in model.t5_model.decoder.blocks
        )
        layers = [(split(keys_NI), split(values_NI)) for keys_NI, values_NI in projected]
        return cls(layers, packing.last_places, None if packing.full else ~packing.mask_BL)

    @property
    def prompts(self) -> int:
        """B, number of prompts."""
        return self.layers[0][0].shape[0]

    @property
    def length(self) -> int:
        """L, tokens of the longest prompt."""
        return self.layers[0][0].shape[2]

    @property
    def bias_B11L(self) -> Tensor | None:
        """The score that is added for each token: `blocked` for padding, else 0. None: there is no padding."""
        if self._bias_B11L is None and self._hidden_BL is not None:
            dtype = self.layers[0][0].dtype
            hidden_B11L = self._hidden_BL[:, None, None, :]
            self._bias_B11L = torch.zeros_like(hidden_B11L, dtype=dtype).masked_fill(hidden_B11L, blocked(dtype))
        return self._bias_B11L

    def pick(self, prompts_B: Tensor) -> PromptKeys:
        """Keys of these prompts (indices)."""
        layers = [(keys[prompts_B], values[prompts_B]) for keys, values in self.layers]
        hidden_BL = None if self._hidden_BL is None else self._hidden_BL[prompts_B]
        return PromptKeys(layers, self._lengths_B[prompts_B.cpu().numpy()], hidden_BL)

    @classmethod
    def joined(cls, parts: Sequence[PromptKeys]) -> PromptKeys:
        """Keys of all prompts of these parts."""
        if len(parts) == 1:
            return parts[0]
        length = max(part.length for part in parts)
        padded = [part._resized(length) for part in parts]
        lengths_B = np.concatenate([part._lengths_B for part in parts])
        layers = [
            (torch.cat([keys for keys, _ in blocks]), torch.cat([values for _, values in blocks]))
            for blocks in zip(*(part.layers for part in padded), strict=True)
        ]
        if all(part._hidden_BL is None for part in padded):
            return cls(layers, lengths_B, None)
        return cls(layers, lengths_B, torch.cat([part._hidden() for part in padded]))

    def put(self, prompts_B: Tensor, others: PromptKeys) -> PromptKeys:
        """These keys with other prompts in the places `prompts_B` (indices). The tensors are changed in place."""
        lengths_B = self._lengths_B.copy()
        lengths_B[prompts_B.cpu().numpy()] = others._lengths_B
        length = self._new_length(int(lengths_B.max()))
        mine, theirs = self._resized(length), others._resized(length)
        for (keys, values), (other_keys, other_values) in zip(mine.layers, theirs.layers, strict=True):
            keys[prompts_B], values[prompts_B] = other_keys, other_values
        if mine._hidden_BL is None and theirs._hidden_BL is None:
            return PromptKeys(mine.layers, lengths_B, None)
        hidden_BL = mine._hidden().clone()
        hidden_BL[prompts_B] = theirs._hidden()
        return PromptKeys(mine.layers, lengths_B, hidden_BL)

    def _new_length(self, longest: int) -> int:
        """The room for prompts of this length. It changes rarely, because a change copies all keys."""
        if longest == self.length or self.length - 2 * _ROOM < longest < self.length:
            return self.length
        return -(-longest // _ROOM) * _ROOM

    def _resized(self, length: int) -> PromptKeys:
        """With padding up to this length, or without the padding after it."""
        missing = length - self.length  # negative: what is cut off
        if missing == 0:
            return self
        layers = [(F.pad(keys, (0, 0, 0, missing)), F.pad(values, (0, 0, 0, missing))) for keys, values in self.layers]
        return PromptKeys(layers, self._lengths_B, F.pad(self._hidden(), (0, missing), value=True))

    def _hidden(self) -> Tensor:
        if self._hidden_BL is not None:
            return self._hidden_BL
        keys = self.layers[0][0]
        return torch.zeros(self.prompts, self.length, dtype=torch.bool, device=keys.device)

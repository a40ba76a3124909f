"""The token head of the decoder, restricted to a fixed set of ids once for all steps.

Shapes: D rows, W model width, V allowed ids.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mammal.model.layers import Linear
from mammal.model.model import MammalModel
from mammal.model.products import Product


class TokenHead:
    """Computes scores of the allowed ids.

    Args:
        model: the model.
        allowed_V: sorted ids, int64 [V]; None: the whole vocabulary.
    """

    def __init__(self, model: MammalModel, allowed_V: Tensor | None):
        self.t5, self.allowed_V = model.t5_model, allowed_V
        self.columns = model.config.vocab_size if allowed_V is None else len(allowed_V)
        if allowed_V is not None:
            with torch.inference_mode(False), torch.no_grad():
                self._slice = Linear(model.config.d_model, len(allowed_V), bias=False)
                self._slice.weight.data = self.t5.lm_head.weight.index_select(0, allowed_V.clone())
            self._product = Product(int8=self.t5.int8)

    def __call__(self, states_DW: Tensor) -> Tensor:
        """Log-probabilities of the allowed ids, float32 [D, V]."""
        return torch.log_softmax(self.logits(states_DW), dim=-1)

    def logits(self, states_DW: Tensor) -> Tensor:
        """Scores before normalisation, float32 [D, V]."""
        if self.allowed_V is None:
            return self.t5.token_logits(states_DW).float()
        return self._product(self.t5.head_input(states_DW), self._slice)[0].float()

    def ids(self, columns: Tensor) -> Tensor:
        """The token ids of columns."""
        return columns if self.allowed_V is None else self.allowed_V[columns]

    def column(self, token_id: int) -> int:
        """The column of a token id; -1 if the id is not allowed."""
        if self.allowed_V is None:
            return token_id
        found = (self.allowed_V == token_id).nonzero()
        return int(found[0]) if len(found) else -1

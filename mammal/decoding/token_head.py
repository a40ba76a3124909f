"""The decoder's token head over a fixed set of ids, sliced once for many steps.

Shapes: D rows, W model width, V allowed ids.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mammal.model.layers import Linear
from mammal.model.model import MammalModel
from mammal.model.products import Product


class TokenHead:
    """Scores of the allowed ids.

    Args:
        allowed_V: sorted ids; None: the whole vocabulary.
    """

    def __init__(self, model: MammalModel, allowed_V: Tensor | None):
        self.t5, self.allowed_V = model.t5_model, allowed_V
        self.columns = model.config.vocab_size if allowed_V is None else len(allowed_V)
        if allowed_V is not None:
            with torch.inference_mode(False), torch.no_grad():
                self._slice = Linear(model.config.d_model, len(allowed_V), bias=False)
                self._slice.weight.data = self.t5.lm_head.weight.index_select(0, allowed_V.clone())
            self._product = Product()

    def __call__(self, states_DW: Tensor) -> Tensor:
        """float32 log-probabilities [D, V]."""
        return torch.log_softmax(self.logits(states_DW), dim=-1)

    def logits(self, states_DW: Tensor) -> Tensor:
        """float32 [D, V], before they are normalised."""
        if self.allowed_V is None:
            return self.t5.token_logits(states_DW).float()
        return self._product(self.t5.head_input(states_DW), self._slice)[0].float()

    def ids(self, columns: Tensor) -> Tensor:
        """The ids of columns of the scores."""
        return columns if self.allowed_V is None else self.allowed_V[columns]

    def column(self, token_id: int) -> int:
        """The column of an id; -1 for one that is not allowed."""
        if self.allowed_V is None:
            return token_id
        found = (self.allowed_V == token_id).nonzero()
        return int(found[0]) if len(found) else -1

"""The multi-layer perceptrons that read hidden states.

Shapes: M positions read, W hidden width, V token ids scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from mammal.model.layers import Linear


class MLPHead(nn.Module):
    """Linear, ReLU, (Dropout,) …, Linear, numbered as in the published checkpoints.

    The published numbering counts a dropout layer only where its rate is above zero, so `classifier.N` depends on it.
    """

    def __init__(self, width: int, layers: Sequence[int], outputs: int, dropout: float):
        super().__init__()
        widths = [width, *layers, outputs]
        modules: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            if modules:
                modules += [nn.ReLU(), nn.Dropout(dropout)] if dropout > 0 else [nn.ReLU()]
            modules.append(Linear(inner, outer))
        self.classifier = nn.Sequential(*modules)

    @property
    def last(self) -> nn.Linear:
        layer = self.classifier[-1]
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, states_MW: Tensor, candidates_V: Tensor | None = None) -> Tensor:
        """Outputs at each position, of `candidates_V` only where given."""
        if candidates_V is None:
            return self.classifier(states_MW)
        last = self.last
        hidden = self.classifier[:-1](states_MW)
        return F.linear(hidden, last.weight.index_select(0, candidates_V), last.bias.index_select(0, candidates_V))

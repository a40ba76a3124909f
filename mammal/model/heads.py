"""Multi-layer perceptrons on hidden states.

Shapes: M positions, W hidden width, V scored token ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from mammal.model.layers import Linear


class MLPHead(nn.Module):
    """Linear, ReLU, (Dropout,) …, Linear; layers are numbered as in the published checkpoints.

    That numbering counts dropout layers only if their rate is above zero, so the names `classifier.N` depend on it.

    Args:
        width: W, width of the hidden states.
        layers: widths of the hidden layers.
        outputs: number of outputs.
        dropout: dropout rate in training.
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
        """Outputs at each position of `states_MW`; only those of `candidates_V`, int64 [V], if it is given."""
        if candidates_V is None:
            return self.classifier(states_MW)
        last = self.last
        hidden = self.classifier[:-1](states_MW)
        return F.linear(hidden, last.weight.index_select(0, candidates_V), last.bias.index_select(0, candidates_V))

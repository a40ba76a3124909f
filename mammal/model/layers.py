"""Layers without first weights: `initial` draws them, or a checkpoint brings them.

At 458 million weights torch's own draw would take seconds, to be overwritten.
"""

from __future__ import annotations

from torch import nn


class Linear(nn.Linear):
    """A linear layer that holds whatever memory held."""

    def reset_parameters(self) -> None:
        """Draws nothing."""


class Embedding(nn.Embedding):
    """An embedding that holds whatever memory held."""

    def reset_parameters(self) -> None:
        """Draws nothing."""

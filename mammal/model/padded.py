"""The encoder on padded rows, for graph exporters.

`MammalModel` packs tokens, and the shapes of packed tensors depend on the contents of a batch. Here all shapes depend
only on the number of rows and of tokens. The layers and weights are those of the model.

Shapes: B rows, L tokens, W model width, H heads, I = H * d_kv.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mammal.model.attention import attend, blocked, relative_buckets
from mammal.model.model import MammalModel


class PaddedEncoder(nn.Module):
    """The encoder of a model, from token ids to states after the final norm.

    Args:
        model: the model; its layers are used, not copied.
        values: also read numbers that tokens carry. The model must have a projection for them.
    """

    bias_DH: Tensor

    def __init__(self, model: MammalModel, *, values: bool = False):
        super().__init__()
        self.embedding = model.t5_model.shared
        self.stack = model.t5_model.encoder
        self.project_values = model.project_input_scalars if values else None
        self.heads, self.reach = model.config.num_heads, model.config.relative_attention_max_distance
        self.register_buffer("bias_DH", self._biases(), persistent=False)
        self.eval()

    def forward(
        self, ids_BL: Tensor, mask_BL: Tensor, values_BL: Tensor | None = None, has_value_BL: Tensor | None = None
    ) -> Tensor:
        """Computes the states [B, L, W], zeros on padding.

        Args:
            ids_BL: token ids, int64 [B, L].
            mask_BL: 0 on padding, int64 [B, L].
            values_BL: numbers that tokens carry, float32 [B, L].
            has_value_BL: which tokens carry a number, bool [B, L].
        """
        real_BL = mask_BL != 0
        x_BLW = self.embedding(ids_BL)
        if self.project_values is not None and values_BL is not None and has_value_BL is not None:
            projected_BLW = self.project_values(values_BL.unsqueeze(-1))
            x_BLW = x_BLW + projected_BLW.masked_fill(~has_value_BL.unsqueeze(-1), 0.0)
        attention = _PaddedAttention(self.heads, self._bias(real_BL))
        for block in self.stack.blocks:
            x_BLW = block.feed_forward(block.own(x_BLW, attention))
        return self.stack.final_layer_norm(x_BLW) * real_BL.unsqueeze(-1)

    def _biases(self) -> Tensor:
        """Position biases [D, H] for key minus query = -reach … reach.

        All larger distances have the bucket of `reach`. The table keeps logarithms, whose rounding differs between
        programs, out of the graph.
        """
        table = self.stack.position_table.detach()
        buckets_QK = relative_buckets(
            self.reach + 1,
            self.reach + 1,
            bidirectional=True,
            buckets=len(table),
            max_distance=self.reach,
            device=table.device,
        )
        before, after = buckets_QK[-1], buckets_QK[0, 1:]
        return table[torch.cat((before, after))]

    def _bias(self, real_BL: Tensor) -> Tensor:
        """Position biases and padding mask, [B, H, L, L]."""
        place_L = torch.arange(real_BL.shape[1], device=real_BL.device)
        distance_LL = (place_L.unsqueeze(0) - place_L.unsqueeze(1)).clamp(-self.reach, self.reach)
        bias_HLL = self.bias_DH[distance_LL + self.reach].permute(2, 0, 1)
        return bias_HLL.unsqueeze(0).masked_fill(~real_BL[:, None, None, :], blocked(bias_HLL.dtype))


class _PaddedAttention:
    """Attention within padded rows; has the calls of `PackedAttention` that self-attention needs."""

    def __init__(self, heads: int, bias_BHLL: Tensor):
        self.heads, self.bias_BHLL = heads, bias_BHLL

    def __call__(self, q_BLI: Tensor, k_BLI: Tensor, v_BLI: Tensor, rate: float = 0.0) -> Tensor:
        q_BHLD, k_BHLD, v_BHLD = (self._split(x) for x in (q_BLI, k_BLI, v_BLI))
        out_BHLD = attend(q_BHLD, k_BHLD, v_BHLD, self.bias_BHLL, rate)
        return out_BHLD.transpose(1, 2).flatten(2)

    def _split(self, x_BLI: Tensor) -> Tensor:
        return x_BLI.unflatten(2, (self.heads, -1)).transpose(1, 2)

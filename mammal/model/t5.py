"""T5 v1.0/v1.1 encoder-decoder on packed tokens, with the parameter names of `transformers`.

Source: Raffel et al. (2020); v1.1 changes (gated activation, untied head) from Shazeer, "GLU Variants Improve
Transformer" (2020). Pre-norm residual blocks, RMS norm without bias, no bias in any linear layer.

Shapes: N packed tokens, W model width, F feed-forward width.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mammal.model.attention import Attention, PackedAttention, blocked, relative_buckets
from mammal.model.config import ModelConfig
from mammal.model.layers import Embedding, Linear, dropout
from mammal.model.masks import RowMasks
from mammal.model.packing import Packing
from mammal.model.products import Product


class RMSNorm(nn.Module):
    def __init__(self, width: int, epsilon: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x_NW: Tensor) -> Tensor:
        return F.rms_norm(x_NW, self.weight.shape, self.weight, self.epsilon)


class FeedForward(nn.Module):
    """One hidden layer, gated (T5 v1.1) or not (T5 v1.0)."""

    wi: Linear
    wi_0: Linear
    wi_1: Linear

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gated = config.gated
        for name in ("wi_0", "wi_1") if self.gated else ("wi",):
            self.add_module(name, Linear(config.d_model, config.d_ff, bias=False))
        self.wo = Linear(config.d_ff, config.d_model, bias=False)
        self.dropout = config.dropout_rate
        self._product_gate, self._product_in, self._product_out = Product(config.activation), Product(), Product()

    def forward(self, x_NW: Tensor, masks: RowMasks | None = None) -> Tensor:
        if self.gated:
            (gate_NF,), (linear_NF,) = self._product_gate(x_NW, self.wi_0), self._product_in(x_NW, self.wi_1)
            hidden_NF = gate_NF * linear_NF
        else:
            (hidden_NF,) = self._product_gate(x_NW, self.wi)
        return self._product_out(dropout(hidden_NF, self.dropout, self.training, masks), self.wo)[0]


class SelfAttentionLayer(nn.Module):
    def __init__(self, config: ModelConfig, *, owns_bias: bool):
        super().__init__()
        self.SelfAttention = _attention(config, config.relative_attention_num_buckets if owns_bias else None)
        self.layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = config.dropout_rate

    def forward(self, x_NW: Tensor, attention: PackedAttention, masks: RowMasks | None = None) -> Tensor:
        update_NW = self.SelfAttention(self.layer_norm(x_NW), None, attention)
        return x_NW + dropout(update_NW, self.dropout, self.training, masks)


class CrossAttentionLayer(nn.Module):
    def __init__(self, config: ModelConfig, *, owns_bias: bool):
        super().__init__()
        self.EncDecAttention = _attention(config, config.cross_attention_num_buckets or None if owns_bias else None)
        self.layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = config.dropout_rate

    def forward(
        self, x_MW: Tensor, memory_NW: Tensor, attention: PackedAttention, masks: RowMasks | None = None
    ) -> Tensor:
        update_MW = self.EncDecAttention(self.layer_norm(x_MW), memory_NW, attention)
        return x_MW + dropout(update_MW, self.dropout, self.training, masks)


class FeedForwardLayer(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.DenseReluDense = FeedForward(config)
        self.layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = config.dropout_rate

    def forward(self, x_NW: Tensor, masks: RowMasks | None = None) -> Tensor:
        update_NW = self.DenseReluDense(self.layer_norm(x_NW), masks)
        return x_NW + dropout(update_NW, self.dropout, self.training, masks)


class Block(nn.Module):
    """Self-attention, attention to the encoder (only in a decoder), and the feed-forward layer, with residuals."""

    def __init__(self, config: ModelConfig, *, decoder: bool, owns_bias: bool):
        super().__init__()
        own, feed_forward = SelfAttentionLayer(config, owns_bias=owns_bias), FeedForwardLayer(config)
        cross = [CrossAttentionLayer(config, owns_bias=owns_bias)] if decoder else []
        self.layer = nn.ModuleList([own, *cross, feed_forward])

    @property
    def own(self) -> SelfAttentionLayer:
        return cast(SelfAttentionLayer, self.layer[0])

    @property
    def cross(self) -> CrossAttentionLayer:
        """Attention to the encoder, in a block of the decoder."""
        return cast(CrossAttentionLayer, self.layer[1])

    @property
    def feed_forward(self) -> FeedForwardLayer:
        return cast(FeedForwardLayer, self.layer[-1])


class Stack(nn.Module):
    """The encoder, or the decoder (causal, with attention to the encoder's output)."""

    def __init__(self, config: ModelConfig, embed_tokens: nn.Embedding, *, decoder: bool):
        super().__init__()
        self.embed_tokens = embed_tokens
        depth = config.num_decoder_layers if decoder else config.num_layers
        self.block = nn.ModuleList(Block(config, decoder=decoder, owns_bias=i == 0) for i in range(depth))
        self.final_layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.config, self.causal = config, decoder

    @property
    def blocks(self) -> list[Block]:
        return [cast(Block, block) for block in self.block]

    @property
    def position_tables(self) -> list[tuple[Tensor, bool]]:
        """Biases [buckets, H] by relative position, and whether they are bidirectional."""
        tables = [(self.position_table, not self.causal)]
        if self.causal and self.config.cross_attention_num_buckets:
            tables.append((self.blocks[0].cross.EncDecAttention.relative_attention_bias.weight, True))
        return tables

    @property
    def position_table(self) -> Tensor:
        """Biases [buckets, H] by relative position; the first block owns them and all blocks use them."""
        return self.blocks[0].own.SelfAttention.relative_attention_bias.weight

    def forward(
        self,
        x_NW: Tensor,
        packing: Packing,
        memory_NW: Tensor | None = None,
        cross: PackedAttention | None = None,
        masks: RowMasks | None = None,
    ) -> Tensor:
        """Computes the packed states [N, W] after the final norm.

        Args:
            x_NW: packed embeddings.
            packing: packing of `x_NW`.
            memory_NW: packed states of the encoder; only for the decoder.
            cross: attention of packed tokens to these states; only for the decoder.
            masks: masks of Monte Carlo dropout. They don't reach the weights of attention. None: no dropout, except in
                training.
        """
        rate = self.config.dropout_rate
        x_NW = dropout(x_NW, rate, self.training, masks)
        bias_HLL = self.position_bias(packing.length, x_NW.dtype)
        attention = PackedAttention(packing, packing, self.config.num_heads, bias_HLL)
        for block in self.blocks:
            x_NW = block.own(x_NW, attention, masks)
            if memory_NW is not None and cross is not None:
                x_NW = block.cross(x_NW, memory_NW, cross, masks)
            x_NW = block.feed_forward(x_NW, masks)
        return dropout(self.final_layer_norm(x_NW), rate, self.training, masks)

    def position_bias(self, length: int, dtype: torch.dtype) -> Tensor:
        """Biases [H, L, L] by relative position; in a causal stack, later keys are blocked."""
        table = self.position_table
        bias_HLL = self._bias(table, length, length, bidirectional=not self.causal).to(dtype)
        if not self.causal:
            return bias_HLL
        future_LL = torch.ones(length, length, dtype=torch.bool, device=table.device).triu(1)
        return bias_HLL.masked_fill(future_LL, blocked(dtype))

    def cross_bias(self, length: int, memory_length: int, dtype: torch.dtype) -> Tensor | None:
        """Biases [H, length, memory_length] of the decoder by the distance of encoder tokens; None if it has none."""
        attention = self.blocks[0].cross.EncDecAttention
        if not self.config.cross_attention_num_buckets:
            return None
        return self._bias(attention.relative_attention_bias.weight, length, memory_length, bidirectional=True).to(dtype)

    def _bias(self, table: Tensor, queries: int, keys: int, *, bidirectional: bool) -> Tensor:
        buckets_QK = relative_buckets(
            queries,
            keys,
            bidirectional=bidirectional,
            buckets=len(table),
            max_distance=self.config.relative_attention_max_distance,
            device=table.device,
        )
        return F.embedding(buckets_QK, table).permute(2, 0, 1).contiguous()


def _attention(config: ModelConfig, buckets: int | None = None) -> Attention:
    inner = config.num_heads * config.d_kv
    return Attention(config.d_model, inner, config.num_heads, config.dropout_rate, buckets)


class T5(nn.Module):
    """Shared embedding, encoder, decoder and token head."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.shared = Embedding(config.vocab_size, config.d_model)
        self.encoder = Stack(config, self.shared, decoder=False)
        self.decoder = Stack(config, self.shared, decoder=True)
        self.lm_head = Linear(config.d_model, config.vocab_size, bias=False)
        self._product_head = Product()
        self.config = config
        self.int8 = False
        if config.tie_word_embeddings:
            self.lm_head.weight = self.shared.weight

    def use_int8(self, on: bool = True) -> None:
        """Decoder and token head compute with 8-bit copies of their weights from now on, except for gradients.

        Args:
            on: False: they compute with the weights themselves from now on.
        """
        self.int8 = on
        products = (value for module in self.decoder.modules() for value in vars(module).values())
        for product in [self._product_head, *(one for one in products if isinstance(one, Product))]:
            product.int8 = on
            product.forget()

    def token_logits(self, states_MW: Tensor, candidates_V: Tensor | None = None) -> Tensor:
        """Token scores [M, V] of decoder states; only those of `candidates_V`, int64 [V], if it is given."""
        states_MW = self.head_input(states_MW)
        if candidates_V is None:
            return self._product_head(states_MW, self.lm_head)[0]
        if torch.is_grad_enabled():
            self._product_head.forget()
        return F.linear(states_MW, self.lm_head.weight.index_select(0, candidates_V))

    def head_input(self, states_MW: Tensor) -> Tensor:
        """Decoder states, scaled for the token head if the config requires it."""
        return states_MW * self.config.d_model**-0.5 if self.config.scales_decoder_outputs else states_MW

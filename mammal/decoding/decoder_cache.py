"""Runs the decoder one token at a time and caches the keys and values of past tokens and of the encoder.

Each encoder row has the same number of decoder rows (beams or samples), which share its keys and values. If decoder
rows end one by one, the others get keys and values of their own.

Shapes: B encoder rows, C decoder rows of each, D = B * C, H heads, T steps, L encoder tokens, K = one head's width,
I = H * K, W model width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mammal.model.attention import Attention, attend, blocked, relative_buckets
from mammal.model.model import MammalModel
from mammal.model.states import Memory


@dataclass
class LayerCache:
    """Keys and values of one decoder block: past tokens [D, H, T, K] (preallocated), encoder tokens [B, H, L, K]."""

    keys: Tensor
    values: Tensor
    memory_keys: Tensor
    memory_values: Tensor


class DecodingState:
    """The decoder rows with their caches.

    Args:
        model: the model.
        memory: result of `model.encode`.
        copies: C, number of decoder rows for each encoder row.
        max_steps: maximal number of tokens that will be fed.
    """

    def __init__(self, model: MammalModel, memory: Memory, copies: int, max_steps: int):
        self.model, self.copies, self.max_steps = model, copies, max_steps
        self.groups = memory.packing.rows
        self.step_count = 0
        self._heads = model.config.num_heads
        self._decoder = model.t5_model.decoder
        self._layers = [self._empty_layer(block.cross.EncDecAttention, memory) for block in self._decoder.blocks]
        self._bias_HT = self._bias_by_distance(memory.states_NW.dtype)
        self._cross_bias_HTL = self._decoder.cross_bias(max_steps, memory.packing.length, memory.states_NW.dtype)
        self._memory_bias_B11L: Tensor | None = None
        if not memory.packing.full:
            hidden = ~memory.packing.mask_BL[:, None, None, :]
            self._memory_bias_B11L = torch.zeros_like(hidden, dtype=memory.states_NW.dtype).masked_fill(
                hidden, blocked(memory.states_NW.dtype)
            )

    @property
    def rows(self) -> int:
        return self.groups * self.copies

    def step(self, ids_D: Tensor, values_D: Tensor | None = None, has_value_D: Tensor | None = None) -> Tensor:
        """Feeds one token to each row.

        Args:
            ids_D: token ids, int64 [D].
            values_D: values that tokens carry, float32 [D]; None: no values.
            has_value_D: which tokens carry a value, bool [D].

        Returns:
            States of the decoder after this token, [D, W].
        """
        x_DW = self._embed(ids_D, values_D, has_value_D)
        for block, cache in zip(self._decoder.blocks, self._layers, strict=True):
            own, cross = block.own, block.cross
            x_DW = x_DW + self._attend_past(own.SelfAttention, own.layer_norm(x_DW), cache)
            x_DW = x_DW + self._attend_memory(cross.EncDecAttention, cross.layer_norm(x_DW), cache)
            x_DW = block.feed_forward(x_DW)
        self.step_count += 1
        return self._decoder.final_layer_norm(x_DW)

    def reorder(self, rows_D: Tensor) -> None:
        """Row i continues row `rows_D[i]`, which must belong to the same encoder row."""
        past = self.step_count
        for cache in self._layers:
            cache.keys[:, :, :past] = cache.keys[:, :, :past].index_select(0, rows_D)
            cache.values[:, :, :past] = cache.values[:, :, :past].index_select(0, rows_D)

    def keep(self, groups: Tensor) -> None:
        """Keeps only these encoder rows (sorted indices) and their decoder rows."""
        offsets = torch.arange(self.copies, device=groups.device)
        rows_D = (groups.unsqueeze(1) * self.copies + offsets).reshape(-1)
        for cache in self._layers:
            cache.keys, cache.values = cache.keys[rows_D], cache.values[rows_D]
            cache.memory_keys, cache.memory_values = cache.memory_keys[groups], cache.memory_values[groups]
        if self._memory_bias_B11L is not None:
            self._memory_bias_B11L = self._memory_bias_B11L[groups]
        self.groups = len(groups)

    def keep_rows(self, rows_D: Tensor) -> None:
        """Keeps only these decoder rows (sorted indices), which may be of any encoder rows."""
        for cache in self._layers:
            cache.keys, cache.values = cache.keys[rows_D], cache.values[rows_D]
        if self.groups == 1:
            self.copies = len(rows_D)
            return
        groups_D = rows_D // self.copies
        for cache in self._layers:
            cache.memory_keys, cache.memory_values = cache.memory_keys[groups_D], cache.memory_values[groups_D]
        if self._memory_bias_B11L is not None:
            self._memory_bias_B11L = self._memory_bias_B11L[groups_D]
        self.groups, self.copies = len(rows_D), 1

    def _embed(self, ids_D: Tensor, values_D: Tensor | None, has_value_D: Tensor | None) -> Tensor:
        x_DW = self.model.t5_model.shared(ids_D)
        return x_DW if values_D is None or has_value_D is None else self.model.add_values(x_DW, values_D, has_value_D)

    def _attend_past(self, attention: Attention, x_DW: Tensor, cache: LayerCache) -> Tensor:
        q_DI, k_DI, v_DI = attention.project(x_DW)
        now = self.step_count
        cache.keys[:, :, now] = self._split(k_DI)
        cache.values[:, :, now] = self._split(v_DI)
        bias_H1T = self._bias_HT[:, : now + 1].flip(1).unsqueeze(1)
        past = slice(now + 1)
        out = attend(self._split(q_DI).unsqueeze(2), cache.keys[:, :, past], cache.values[:, :, past], bias_H1T)
        return attention.project_out(out.flatten(1))

    def _attend_memory(self, attention: Attention, x_DW: Tensor, cache: LayerCache) -> Tensor:
        q_DI = attention.project_query(x_DW)
        q_BHCK = q_DI.view(self.groups, self.copies, self._heads, -1).transpose(1, 2)
        out_BHCK = attend(q_BHCK, cache.memory_keys, cache.memory_values, self._memory_bias())
        return attention.project_out(out_BHCK.transpose(1, 2).reshape(self.rows, -1))

    def _memory_bias(self) -> Tensor | None:
        """Bias of attention to the encoder; it broadcasts to [B, H, C, L]."""
        if self._cross_bias_HTL is None:
            return self._memory_bias_B11L
        now_H1L = self._cross_bias_HTL[:, self.step_count].unsqueeze(1)
        return now_H1L if self._memory_bias_B11L is None else now_H1L + self._memory_bias_B11L

    def _split(self, x_DI: Tensor) -> Tensor:
        return x_DI.unflatten(1, (self._heads, -1))

    def _empty_layer(self, cross: Attention, memory: Memory) -> LayerCache:
        head_width = self.model.config.d_kv
        past = memory.states_NW.new_empty(2, self.rows, self._heads, self.max_steps, head_width)
        packing = memory.packing
        memory_keys, memory_values = (
            packing.pad(x_NI).unflatten(2, (self._heads, -1)).transpose(1, 2).contiguous()
            for x_NI in cross.project_memory(memory.states_NW)
        )
        return LayerCache(past[0], past[1], memory_keys, memory_values)

    def _bias_by_distance(self, dtype: torch.dtype) -> Tensor:
        """Bias of a key by its distance in steps, [H, T]."""
        config = self.model.config
        table = self._decoder.position_table
        buckets_T = relative_buckets(
            self.max_steps,
            1,
            bidirectional=False,
            buckets=config.relative_attention_num_buckets,
            max_distance=config.relative_attention_max_distance,
            device=table.device,
        ).squeeze(1)
        return F.embedding(buckets_T, table).T.to(dtype).contiguous()

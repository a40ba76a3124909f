"""Runs the decoder and caches the keys and values of past tokens and of the encoder.

A step feeds one token to each row, or several tokens whose successors are guessed (`mammal.decoding.drafts`).

Each encoder row has the same number of decoder rows (beams or samples), which share its keys and values. If decoder
rows end one by one, the others get keys and values of their own. Decoder rows can have different numbers of tokens:
the key of token t of a row is always at place t, and a bias hides the places that a row has not reached.

Shapes: B encoder rows, C decoder rows of each, D = B * C, Q tokens that a step feeds to each row, N = D * Q, H heads,
T steps, L encoder tokens, K = one head's width, I = H * K, W model width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mammal.decoding.ages import Ages
from mammal.decoding.prompt_keys import PromptKeys
from mammal.model.attention import Attention, attend, blocked, relative_buckets
from mammal.model.model import MammalModel
from mammal.model.t5 import Block, FeedForward, RMSNorm


@dataclass
class LayerCache:
    """Keys and values of past tokens of one decoder block, [D, H, T, K] (preallocated)."""

    keys: Tensor
    values: Tensor


class _Block(NamedTuple):
    """The parts of a decoder block. They are looked up once, because that takes time at each step of a small model."""

    own: Attention
    own_norm: RMSNorm
    cross: Attention
    cross_norm: RMSNorm
    feed_forward: FeedForward
    feed_forward_norm: RMSNorm

    @classmethod
    def of(cls, block: Block) -> _Block:
        own, cross, last = block.own, block.cross, block.feed_forward
        return cls(
            own.SelfAttention,
            own.layer_norm,
            cross.EncDecAttention,
            cross.layer_norm,
            last.DenseReluDense,
            last.layer_norm,
        )


class DecodingState:
    """The decoder rows with their caches.

    Args:
        model: the model.
        prompts: keys and values of the encoder rows.
        copies: C, number of decoder rows for each encoder row.
        ages: number of tokens of each decoder row. The caller advances it after each step.
    """

    def __init__(self, model: MammalModel, prompts: PromptKeys, copies: int, ages: Ages):
        self.model, self.prompts, self.copies, self.ages = model, prompts, copies, ages
        self.groups = prompts.prompts
        self._heads = model.config.num_heads
        self._decoder = model.t5_model.decoder
        self._blocks = [_Block.of(block) for block in self._decoder.blocks]
        self._layers = [self._empty_layer(keys) for keys, _ in prompts.layers]
        dtype = prompts.layers[0][0].dtype
        self._bias_HT = self._bias_by_distance(dtype)
        self._cross_bias_HTL = self._decoder.cross_bias(ages.most, prompts.length, dtype)

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
        return self._run(self._embed(ids_D, values_D, has_value_D), 1)

    def step_ahead(self, ids_DQ: Tensor, values_D: Tensor | None = None, has_value_D: Tensor | None = None) -> Tensor:
        """Feeds several tokens to each row, which must have the same number of tokens and room for Q more.

        Keys and values of all of them are cached. Those of tokens that the caller doesn't accept are overwritten by
        later steps: a row reads only the places up to its number of tokens, which the caller advances by the number of
        accepted tokens.

        Args:
            ids_DQ: token ids, int64 [D, Q].
            values_D: values that the first token of each row carries, float32 [D]; None: no values.
            has_value_D: which of the first tokens carry a value, bool [D].

        Returns:
            States of the decoder after each token, [D, Q, W].
        """
        rows, tokens = ids_DQ.shape
        x_DQW = self.model.t5_model.shared(ids_DQ)
        if values_D is not None:
            x_DQW[:, 0] = self._embed(ids_DQ[:, 0], values_D, has_value_D)
        return self._run(x_DQW.flatten(0, 1), tokens).unflatten(0, (rows, tokens))

    def _run(self, x_NW: Tensor, tokens: int) -> Tensor:
        """The blocks of the decoder for embeddings of so many tokens of each row; returns states, [N, W]."""
        bias, memory_bias = self._past_bias(tokens), self._memory_bias(tokens)
        for block, cache, memory in zip(self._blocks, self._layers, self.prompts.layers, strict=True):
            x_NW = x_NW + self._attend_past(block.own, block.own_norm(x_NW), cache, bias)
            x_NW = x_NW + self._attend_memory(block.cross, block.cross_norm(x_NW), memory, memory_bias)
            x_NW = x_NW + block.feed_forward(block.feed_forward_norm(x_NW))
        return self._decoder.final_layer_norm(x_NW)

    def reorder(self, rows_D: Tensor) -> None:
        """Row i continues row `rows_D[i]`, which must belong to the same encoder row (int64 [D])."""
        if (now := self.ages.same) is not None:
            past = slice(now + 1)
            for cache in self._layers:
                cache.keys[:, :, past] = cache.keys[:, :, past].index_select(0, rows_D)
                cache.values[:, :, past] = cache.values[:, :, past].index_select(0, rows_D)
            return
        places_D, ages_D = self.ages.places
        moved_D = rows_D != places_D
        half = self.ages.longest // 2
        short_D = ages_D < half  # if rows differ in age, most of the copied places would be empty
        for length, these_D in ((half, moved_D & short_D), (self.ages.longest + 1, moved_D & ~short_D)):
            to_X = these_D.nonzero().squeeze(1)
            from_X = rows_D[to_X]
            for cache in self._layers:
                cache.keys[to_X, :, :length] = cache.keys[from_X, :, :length]
                cache.values[to_X, :, :length] = cache.values[from_X, :, :length]

    def enter(self, groups: Tensor, prompts: PromptKeys) -> None:
        """Other prompts take the place of these encoder rows (indices)."""
        self.prompts = self.prompts.put(groups, prompts)
        if self._cross_bias_HTL is not None and self._cross_bias_HTL.shape[2] < self.prompts.length:
            dtype = self._cross_bias_HTL.dtype
            self._cross_bias_HTL = self._decoder.cross_bias(self.ages.most, self.prompts.length, dtype)

    def keep(self, groups: Tensor) -> None:
        """Keeps only these encoder rows (sorted indices) and their decoder rows."""
        offsets = torch.arange(self.copies, device=groups.device)
        self._keep_past((groups.unsqueeze(1) * self.copies + offsets).reshape(-1))
        self.prompts = self.prompts.pick(groups)
        self.groups = len(groups)

    def keep_rows(self, rows_D: Tensor) -> None:
        """Keeps only these decoder rows (sorted indices), which may be of any encoder rows."""
        self._keep_past(rows_D)
        if self.groups == 1:
            self.copies = len(rows_D)
            return
        self.prompts = self.prompts.pick(rows_D // self.copies)
        self.groups, self.copies = len(rows_D), 1

    def _keep_past(self, rows_D: Tensor) -> None:
        for cache in self._layers:
            cache.keys, cache.values = cache.keys[rows_D], cache.values[rows_D]

    def _embed(self, ids_D: Tensor, values_D: Tensor | None, has_value_D: Tensor | None) -> Tensor:
        x_DW = self.model.t5_model.shared(ids_D)
        return x_DW if values_D is None or has_value_D is None else self.model.add_values(x_DW, values_D, has_value_D)

    def _attend_past(self, attention: Attention, x_NW: Tensor, cache: LayerCache, bias: Tensor) -> Tensor:
        q_DHQK, k_DHQK, v_DHQK = (self._split(x_NI) for x_NI in attention.project(x_NW))
        tokens = q_DHQK.shape[2]
        if (now := self.ages.same) is not None:
            cache.keys[:, :, now : now + tokens] = k_DHQK
            cache.values[:, :, now : now + tokens] = v_DHQK
        else:
            rows_D, ages_D = self.ages.places
            cache.keys[rows_D, :, ages_D] = k_DHQK.squeeze(2)
            cache.values[rows_D, :, ages_D] = v_DHQK.squeeze(2)
        past = slice(self.ages.longest + tokens)
        out_DHQK = attend(q_DHQK, cache.keys[:, :, past], cache.values[:, :, past], bias)
        return attention.project_out(out_DHQK.transpose(1, 2).reshape(len(x_NW), -1))

    def _attend_memory(
        self, attention: Attention, x_NW: Tensor, memory: tuple[Tensor, Tensor], bias: Tensor | None
    ) -> Tensor:
        q_NI = attention.project_query(x_NW)
        queries = len(x_NW) // self.groups
        q_BHXK = q_NI.view(self.groups, queries, self._heads, -1).transpose(1, 2)  # X = C * Q queries of a prompt
        out_BHXK = attend(q_BHXK, *memory, bias)
        return attention.project_out(out_BHXK.transpose(1, 2).reshape(len(x_NW), -1))

    def _past_bias(self, tokens: int) -> Tensor:
        """Bias of attention to past tokens by their distance, [H, Q, T] or, if rows differ in age, [D, H, 1, T]."""
        heads, most = self._bias_HT.shape[0], self.ages.most
        now = self.ages.same
        if now is not None and tokens == 1:
            return self._bias_HT[:, most - 1 - now : most].unsqueeze(1)
        length = self.ages.longest + tokens
        by_age_THT = self._bias_HT.as_strided((most, heads, length), (1, self._bias_HT.stride(0), 1))
        if now is not None:
            return by_age_THT[most - now - tokens : most - now].flip(0).transpose(0, 1)
        assert tokens == 1, "rows of different ages are fed one token each"
        _, ages_D = self.ages.places
        return by_age_THT.index_select(0, most - 1 - ages_D).unsqueeze(2)

    def _memory_bias(self, tokens: int) -> Tensor | None:
        """Bias of attention to the encoder; it broadcasts to [B, H, C * Q, L]."""
        hidden_B11L = self.prompts.bias_B11L
        if self._cross_bias_HTL is None:
            return hidden_B11L
        if (now := self.ages.same) is not None:
            bias = self._cross_bias_HTL[:, now : now + tokens, : self.prompts.length]
            if tokens > 1 and self.copies > 1:
                bias = bias.repeat(1, self.copies, 1)
        else:
            _, ages_D = self.ages.places
            bias_HDL = self._cross_bias_HTL[:, :, : self.prompts.length].index_select(1, ages_D)
            bias = bias_HDL.unflatten(1, (self.groups, self.copies)).transpose(0, 1)
        return bias if hidden_B11L is None else bias + hidden_B11L

    def _split(self, x_NI: Tensor) -> Tensor:
        """By rows and heads, [D, H, Q, K]."""
        return x_NI.view(self.rows, -1, self._heads, self.model.config.d_kv).transpose(1, 2)

    def _empty_layer(self, like: Tensor) -> LayerCache:
        """Keys and values of no token. They are 0, because places that a bias hides must hold numbers, too."""
        past = like.new_zeros(2, self.rows, self._heads, self.ages.most, self.model.config.d_kv)
        return LayerCache(past[0], past[1])

    def _bias_by_distance(self, dtype: torch.dtype) -> Tensor:
        """Bias of keys by their distance in steps, the highest first, and after them `blocked` for later places.

        Returns:
            [H, 2 T - 1]; the row of a sequence of age t starts at T - 1 - t.
        """
        config, most = self.model.config, self.ages.most
        table = self._decoder.position_table
        buckets_T = relative_buckets(
            most,
            1,
            bidirectional=False,
            buckets=config.relative_attention_num_buckets,
            max_distance=config.relative_attention_max_distance,
            device=table.device,
        ).squeeze(1)
        bias_HT = F.embedding(buckets_T, table).T.to(dtype).flip(1)
        return F.pad(bias_HT, (0, most - 1), value=blocked(dtype)).contiguous()

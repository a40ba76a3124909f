"""T5 attention: projections, relative position biases, and the product over packed rows.

Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer" (2020), §2.1;
bucket boundaries as in the Mesh TensorFlow implementation. Scores are not divided by sqrt(d_kv).

Shapes: B rows, H heads, Q queries, K keys, L positions, M packed queries, N packed keys, W model width, I = H * d_kv,
D width of one head.
"""

from __future__ import annotations

import math
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mammal.model.layers import Embedding, Linear, dropout
from mammal.model.packing import Packing
from mammal.model.products import Product

FUSED_KERNEL_LENGTH = 96
"""Mean number of keys per row from which `scaled_dot_product_attention` for each row is faster than padded matrix
products on a CPU."""

WASTE = 4
"""Rows are also computed one by one if padding rows of unequal length would multiply the work by this factor."""

_ALIGNED = 8

_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Kernels of attention on CUDA. cuDNN, which torch prefers on some GPUs, is left out: it builds an execution plan for
each new shape, which takes tens of milliseconds, and almost every batch has another shape."""


def relative_buckets(
    queries: int, keys: int, *, bidirectional: bool, buckets: int, max_distance: int, device: torch.device | None = None
) -> Tensor:
    """Assigns the distance of each key from each query to a bucket.

    Half of the buckets (of each direction, if bidirectional) contain one distance each. The others contain ranges that
    grow logarithmically up to `max_distance`; all larger distances are in the last bucket.

    Args:
        queries: Q, number of queries.
        keys: K, number of keys.
        bidirectional: whether later keys have buckets of their own; False: they share the bucket of distance 0.
        buckets: number of buckets.
        max_distance: distance from which all distances are in the last bucket.
        device: device of the result.

    Returns:
        Number of the bucket, int64 [Q, K].
    """
    # The logarithms of some distances lie at the edge of a bucket, where rounding decides. A GPU rounds differently, so
    # the bucket of each distance is always computed on the CPU.
    distance_X = torch.arange(min(1 - queries, keys), keys, device="cpu")
    bucket_X = _bucket(distance_X, bidirectional, buckets, max_distance).to(device or "cpu")
    last_Q1 = torch.arange(queries - 1, -1, -1, device=device).unsqueeze(1)
    return bucket_X[last_Q1 + torch.arange(keys, device=device)]


def _bucket(distance_X: Tensor, bidirectional: bool, buckets: int, max_distance: int) -> Tensor:
    """Bucket of each distance (key minus query), int64 [X]; the arguments are those of `relative_buckets`."""
    if bidirectional:
        buckets //= 2
        offset_X = (distance_X > 0).long() * buckets
        distance_X = distance_X.abs()
    else:
        offset_X = torch.zeros_like(distance_X)
        distance_X = (-distance_X).clamp(min=0)
    exact = buckets // 2
    growth_X = torch.log(distance_X.clamp(min=1).float() / exact) / math.log(max_distance / exact) * (buckets - exact)
    far_X = (exact + growth_X.long()).clamp(max=buckets - 1)
    return offset_X + torch.where(distance_X < exact, distance_X, far_X)


def blocked(dtype: torch.dtype) -> float:
    """The score of a key that must not be read; it is finite, so that a row without readable keys stays finite too."""
    return max(torch.finfo(dtype).min / 2, -1e30)


def attend(q_BHQD: Tensor, k_BHKD: Tensor, v_BHKD: Tensor, bias: Tensor | None, rate: float = 0.0) -> Tensor:
    """Attention by plain matrix products, for short rows.

    Args:
        q_BHQD: queries, [B, H, Q, D].
        k_BHKD: keys, [B, H, K, D].
        v_BHKD: values, [B, H, K, D].
        bias: is added to the scores; broadcasts to [B, H, Q, K]. None: no bias.
        rate: dropout rate of the attention weights.

    Returns:
        Weighted values, [B, H, Q, D].
    """
    scores_BHQK = q_BHQD @ k_BHKD.transpose(-1, -2)
    if bias is not None:
        scores_BHQK = scores_BHQK + bias
    weights_BHQK = torch.softmax(scores_BHQK, dim=-1, dtype=torch.float32).to(v_BHKD.dtype)
    return dropout(weights_BHQK, rate) @ v_BHKD


def attend_fused(q_BHQD: Tensor, k_BHKD: Tensor, v_BHKD: Tensor, bias: Tensor | None, rate: float = 0.0) -> Tensor:
    """The same as `attend` in a fused kernel that never stores all scores, for long rows."""
    bias = None if bias is None else bias.to(q_BHQD.dtype)
    kernels = sdpa_kernel(_KERNELS) if q_BHQD.is_cuda else nullcontext()
    with kernels:
        return F.scaled_dot_product_attention(q_BHQD, k_BHKD, v_BHKD, attn_mask=bias, dropout_p=rate, scale=1.0)


def aligned(bias_BHQK: Tensor) -> Tensor:
    """Returns the same biases in memory whose rows begin at multiples of `_ALIGNED` numbers.

    The fused kernels on CUDA need this. They would otherwise make such a copy in every layer and keep it for the
    backward pass.
    """
    keys = bias_BHQK.shape[-1]
    return F.pad(bias_BHQK, (0, -keys % _ALIGNED))[..., :keys]


class PackedAttention:
    """Attention of packed queries to packed keys, prepared once for all layers of a stack.

    On a CPU, long rows are computed one by one without padding. Other rows are padded, but only for the product.

    Args:
        queries: packing of the queries.
        keys: packing of the keys; for self-attention the same as `queries`.
        heads: H, number of heads.
        bias_HQK: position biases, [H, Q, K]; entries with the value `blocked` hide keys. None: no biases.
        positions_BQ: the row of `bias_HQK` that belongs to each query, int64 [B, Q]; None: the position of the query in
            its row.
    """

    def __init__(
        self,
        queries: Packing,
        keys: Packing,
        heads: int,
        bias_HQK: Tensor | None = None,
        positions_BQ: Tensor | None = None,
    ):
        self.queries, self.keys, self.heads = queries, keys, heads
        self.bias_HQK, self.positions_BQ = bias_HQK, positions_BQ
        self.fused = queries.length > 1 and keys.tokens >= FUSED_KERNEL_LENGTH * keys.rows
        self.by_row = self._suits_rows()
        self._padded_bias: Tensor | None = None
        self._for_cuda = False

    def __call__(self, q_MI: Tensor, k_NI: Tensor, v_NI: Tensor, rate: float = 0.0) -> Tensor:
        """Computes attention for packed queries [M, I], keys and values [N, I]; returns packed outputs [M, I]."""
        if self.by_row:
            return self._row_by_row(q_MI, k_NI, v_NI, rate)
        q_BHQD, k_BHKD, v_BHKD = self._split(self.queries.pad(q_MI)), self.pad_keys(k_NI), self.pad_keys(v_NI)
        product = attend_fused if self.fused or q_MI.is_cuda else attend
        out_BHQD = product(q_BHQD, k_BHKD, v_BHKD, self._bias_for(q_MI), rate)
        return self.queries.pack(out_BHQD.transpose(1, 2).flatten(2))

    def pad_keys(self, k_NI: Tensor) -> Tensor:
        """Unpacks keys or values into rows, [B, H, K, D]."""
        return self._split(self.keys.pad(k_NI))

    def bias(self, dtype: torch.dtype) -> Tensor | None:
        """Position biases and padding mask in one tensor that broadcasts to [B, H, Q, K]; None if neither exists."""
        if self._padded_bias is None:
            bias = self._position_bias()
            if not self.keys.full:
                padding_B11K = ~self.keys.mask_BL[:, None, None, :]
                bias = torch.zeros((), dtype=dtype, device=padding_B11K.device) if bias is None else bias
                bias = bias.masked_fill(padding_B11K, blocked(dtype))
            self._padded_bias = bias
        return self._padded_bias

    def _bias_for(self, q_MI: Tensor) -> Tensor | None:
        """The bias of a product. On CUDA it is prepared once for all layers: for a large batch, converting the bias
        [B, H, Q, K] and its gradient in each layer would take longer than the product."""
        if not q_MI.is_cuda:
            return self.bias(q_MI.dtype)
        if not self._for_cuda and (bias := self.bias(q_MI.dtype)) is not None:
            self._padded_bias = aligned(bias.to(q_MI.dtype))
        self._for_cuda = True
        return self._padded_bias

    def _position_bias(self) -> Tensor | None:
        """Position biases, [B, H, Q, K], or [1, H, Q, K] if they are the same for all rows."""
        if self.bias_HQK is None or self.positions_BQ is None:
            return None if self.bias_HQK is None else self.bias_HQK.unsqueeze(0)
        return self.bias_HQK[:, self.positions_BQ].transpose(0, 1)

    def _suits_rows(self) -> bool:
        queries, keys = self.queries, self.keys
        if keys.mask_BL.device.type != "cpu" or not (queries.splittable and keys.splittable):
            return False
        real = sum(q * k for q, k in zip(queries.lengths, keys.lengths, strict=True))
        padded = queries.length * keys.length * keys.rows
        return self.fused or padded > WASTE * (real + keys.rows * FUSED_KERNEL_LENGTH)

    def _split(self, x_BLI: Tensor) -> Tensor:
        return x_BLI.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _row_by_row(self, q_MI: Tensor, k_NI: Tensor, v_NI: Tensor, rate: float) -> Tensor:
        out = []
        queries, keys = self.queries.lengths, self.keys.lengths
        per_row = zip(q_MI.split(queries), k_NI.split(keys), v_NI.split(keys), strict=True)
        position_bias = self._position_bias()
        for row, (q_QI, k_KI, v_KI) in enumerate(per_row):
            q_1HQD, k_1HKD, v_1HKD = (self._split(x.unsqueeze(0)) for x in (q_QI, k_KI, v_KI))
            bias = position_bias
            if bias is not None:
                bias = bias[row if len(bias) > 1 else 0, None, :, : len(q_QI), : len(k_KI)]
            out_1HQD = attend_fused(q_1HQD, k_1HKD, v_1HKD, bias, rate)
            out.append(out_1HQD.transpose(1, 2).flatten(2).squeeze(0))
        return torch.cat(out)


class Attention(nn.Module):
    """Projections of one attention layer. The layer of the first block can own the position biases of all blocks.

    Args:
        width: W, model width.
        inner: I, number of heads times width of one head.
        heads: H, number of heads.
        dropout: dropout rate of the attention weights in training.
        buckets: number of buckets of the position biases; None: the layer owns none.
    """

    def __init__(self, width: int, inner: int, heads: int, dropout: float, buckets: int | None = None):
        super().__init__()
        self.q = Linear(width, inner, bias=False)
        self.k = Linear(width, inner, bias=False)
        self.v = Linear(width, inner, bias=False)
        self.o = Linear(inner, width, bias=False)
        if buckets is not None:
            self.relative_attention_bias = Embedding(buckets, heads)
        self.dropout = dropout
        self._product_in, self._product_memory, self._product_out = Product(), Product(), Product()

    def forward(self, x_MW: Tensor, memory_NW: Tensor | None, attention: PackedAttention) -> Tensor:
        """Attends to `memory_NW`, or to `x_MW` itself if that is None; returns [M, W]."""
        if memory_NW is None:
            q_MI, k_NI, v_NI = self.project(x_MW)
        else:
            q_MI, (k_NI, v_NI) = self.project_query(x_MW), self.project_memory(memory_NW)
        return self.project_out(attention(q_MI, k_NI, v_NI, self.dropout if self.training else 0.0))

    def project(self, x_MW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [M, I] of the same tokens."""
        q_MI, k_MI, v_MI = self._product_in(x_MW, self.q, self.k, self.v)
        return q_MI, k_MI, v_MI

    def project_query(self, x_MW: Tensor) -> Tensor:
        return self._product_in(x_MW, self.q)[0]

    def project_memory(self, memory_NW: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [N, I] of the encoder tokens."""
        k_NI, v_NI = self._product_memory(memory_NW, self.k, self.v)
        return k_NI, v_NI

    def project_out(self, x_MI: Tensor) -> Tensor:
        return self._product_out(x_MI, self.o)[0]

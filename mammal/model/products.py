"""Faster matrix products for inference: layers with the same input are joined into one matrix in an efficient layout.

Training calls the linear layers themselves, so that gradients, hooks and adapters work. Without gradients, the layers
are applied here. When a layer was used often enough to justify the cost, a copy of its weights is made: layers with the
same input are joined into one matrix, on a CPU in oneDNN's blocked layout. Measured on two kinds of server CPU, the
copy makes a decoding step 1.5 to 2.5 times faster and long prompts up to 1.35 times. It needs as much memory as the
copied weights.

Shapes: N packed tokens, W input width, O output width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mammal.model.int8 import LEAST_WEIGHTS, Int8Weights
from mammal.model.layers import Linear

TOKENS_TO_REPAY = 512
CALLS_TO_REPAY = 24
"""Making the copy costs about as much as it saves on this many tokens, or on this many calls with few tokens."""


PAYS_FROM = ((1, 1_000_000), (2, 96_000), (256, 32_000))
"""(rows, weights): from so many rows on, a copy of at least so many weights is faster than the layer itself.

A call of oneDNN costs 10 µs more than a plain product, on two kinds of server CPU. The rule does not depend on the
machine or on earlier calls, so that the same batch is computed in the same way wherever a job is resumed.
"""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}
_INSIDE: dict[str | None, tuple[str, str]] = {"gelu_new": ("gelu", "tanh"), "relu": ("relu", "")}
"""Activations that oneDNN applies to results before it writes them, and their names in oneDNN."""


class Product:
    """Applies linear layers that have the same input. It holds the copy of their weights, but not the layers.

    The copy is deleted if the weights have changed (another address in memory, or another version), and by every call
    with gradients, because fused optimizers change weights without increasing their version.

    Args:
        activation: name in `ACTIVATIONS` that is applied to the outputs; None: no activation.
        int8: the copy is made of 8-bit integers, and used from the first call on, so that results don't depend on how
            often the layers were used.
    """

    def __init__(self, activation: str | None = None, int8: bool = False) -> None:
        self.activation, self.int8 = activation, int8
        self.forget()

    def forget(self) -> None:
        """Deletes the copy."""
        self._copy: Tensor | Int8Weights | None = None
        self._stamp: tuple[tuple[int, int], ...] = ()
        self._credit = 0.0

    def __call__(self, x_NW: Tensor, *linears: Linear) -> tuple[Tensor, ...]:
        """The output of each layer for `x_NW`, [N, O]."""
        copy_OW = self._prepared(x_NW, linears)
        if copy_OW is None:
            return tuple(self._activate(linear(x_NW)) for linear in linears)
        bias = linears[0].bias if len(linears) == 1 else None
        if isinstance(copy_OW, Int8Weights):
            joined_NO = self._activate(copy_OW(x_NW, bias))
        elif x_NW.device.type == "cpu":
            inside = _INSIDE.get(self.activation, ("none", ""))
            joined_NO = torch.ops.mkldnn._linear_pointwise(x_NW, copy_OW, bias, inside[0], [], inside[1])
            joined_NO = joined_NO if self.activation in _INSIDE else self._activate(joined_NO)
        else:
            joined_NO = self._activate(F.linear(x_NW, copy_OW, bias))
        return joined_NO.split([linear.out_features for linear in linears], dim=-1)

    def _activate(self, x_NO: Tensor) -> Tensor:
        return x_NO if self.activation is None else ACTIVATIONS[self.activation](x_NO)

    def __deepcopy__(self, memo: object) -> Product:
        return Product(self.activation, self.int8)

    def __reduce__(self) -> tuple[type[Product], tuple[str | None, bool]]:
        return Product, (self.activation, self.int8)

    def _prepared(self, x_NW: Tensor, linears: tuple[Linear, ...]) -> Tensor | Int8Weights | None:
        """The copy of the current weights, if it exists or is worth making, and can be used for `x_NW`; else None."""
        if torch.is_grad_enabled():
            self.forget()
            return None
        pays = _pays_in_int8(x_NW, linears) if self.int8 else _pays(x_NW, linears)
        if not pays or not _suitable(x_NW, linears):
            return None
        stamp = tuple((linear.weight.data_ptr(), linear.weight._version) for linear in linears)
        if stamp != self._stamp:
            self.forget()
            self._stamp = stamp
        self._credit += max(len(x_NW) / TOKENS_TO_REPAY, 1 / CALLS_TO_REPAY)
        if self._copy is None and (self.int8 or self._credit > 1):
            weights = [linear.weight.detach() for linear in linears]
            self._copy = self._copied(weights[0] if len(weights) == 1 else torch.cat(weights), len(x_NW))
        return self._copy

    def _copied(self, weight_OW: Tensor, rows: int) -> Tensor | Int8Weights:
        if self.int8:
            return Int8Weights(weight_OW)
        on_cpu = weight_OW.device.type == "cpu"
        return torch.ops.mkldnn._reorder_linear_weight(weight_OW, rows) if on_cpu else weight_OW


def _suitable(x_NW: Tensor, linears: tuple[Linear, ...]) -> bool:
    """Whether a copy of the weights can replace these layers: layers with adapters compute more than their weight."""
    device = x_NW.device.type
    return (
        all(type(linear) is Linear and linear.weight.dtype == x_NW.dtype for linear in linears)
        and (len(linears) == 1 or all(linear.bias is None for linear in linears))
        and not any(linear.weight.is_inference() for linear in linears)
        and (_packs(x_NW) if device == "cpu" else len(linears) > 1)
        and not torch.is_autocast_enabled(device)
    )


def _pays(x_NW: Tensor, linears: tuple[Linear, ...]) -> bool:
    """Whether the copy is faster than the layers, one after the other."""
    if x_NW.device.type != "cpu":
        return True
    tokens, weights = x_NW.shape[0], _weights(linears)
    return any(tokens >= rows and weights >= least for rows, least in PAYS_FROM)


def _pays_in_int8(x_NW: Tensor, linears: tuple[Linear, ...]) -> bool:
    """As `_pays`, whatever the number of rows, because 8 bits give slightly different results."""
    return x_NW.device.type == "cpu" and x_NW.dtype == torch.float32 and _weights(linears) >= LEAST_WEIGHTS


def _weights(linears: tuple[Linear, ...]) -> int:
    return sum(linear.in_features * linear.out_features for linear in linears)


def _packs(x_NW: Tensor) -> bool:
    ops = torch.ops.mkldnn
    return (
        x_NW.dim() == 2
        and len(x_NW) > 0
        and x_NW.dtype in (torch.float32, torch.bfloat16)
        and torch.backends.mkldnn.is_available()
        and hasattr(ops, "_reorder_linear_weight")
        and hasattr(ops, "_linear_pointwise")
    )

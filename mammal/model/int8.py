"""Weights in 8 bits for decoding on a CPU: a quarter of the memory to read for each token, integer products.

Each output has a scale of its own for its weights, and each row of inputs one for its activations, which is found while
the model runs. A row's results therefore don't depend on the other rows of the batch, bit for bit. The kernels are
those of FBGEMM in torch (Khudia et al. 2021, arXiv 2101.05615).

Shapes: N rows, W input width, O output width.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mammal.errors import ConfigError

LEAST_WEIGHTS = 96_000
"""Smaller matrices stay in float32: they are as fast. The rule does not depend on the number of rows."""

_ENGINE = "fbgemm"
_LARGEST = 127  # of signed weights


class Int8Weights:
    """A matrix whose rows are stored as 8-bit integers with a scale each.

    Args:
        weight_OW: the matrix, float32 [O, W].
    """

    def __init__(self, weight_OW: Tensor):
        scales_O = (weight_OW.abs().amax(dim=1) / _LARGEST).clamp(min=torch.finfo(torch.float32).tiny).double()
        zeros_O = torch.zeros(len(weight_OW), dtype=torch.long)
        with _engine(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*quantized tensor creation functions.*", category=UserWarning)
            stored = torch.quantize_per_channel(weight_OW, scales_O, zeros_O, 0, torch.qint8)
            self._packed: Any = torch.ops.quantized.linear_prepack(stored, None)

    def __call__(self, x_NW: Tensor, bias_O: Tensor | None = None) -> Tensor:
        """The products of rows with the matrix, float32 [N, O].

        Args:
            x_NW: rows, at least one, float32.
            bias_O: is added to the products; None: nothing is.
        """
        largest_N1 = x_NW.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        levels = _levels()
        multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
        out_NO = multiply(x_NW / largest_N1, 1.0 / levels, levels + 1, self._packed).mul_(largest_N1)
        return out_NO if bias_O is None else out_NO.add_(bias_O)


def require_int8(device: torch.device) -> None:
    """Refuses 8-bit weights where they can't be used.

    Args:
        device: device of the model.

    Raises:
        ConfigError: the device is not a CPU, or torch has no kernels for this CPU.
    """
    if device.type != "cpu":
        raise ConfigError(f"8-bit weights are for CPUs, and the model is on {device}", where="dtype", hint="bfloat16")
    if _ENGINE not in torch.backends.quantized.supported_engines or not hasattr(
        torch.ops.quantized, "linear_with_input_q_dq_qweight_dq_output_fp32"
    ):
        what = f"torch {torch.__version__} has no kernels for 8-bit weights on this machine"
        raise ConfigError(what, where="dtype", hint="float32 or bfloat16")


@cache
def _levels() -> int:
    """Positive levels of activations. Without VNNI, sums of two products of 8 bits overflow, so 7 bits are used."""
    return 127 if torch.cpu._is_vnni_supported() else 63


@contextmanager
def _engine() -> Iterator[None]:
    """Within the block, torch packs matrices for FBGEMM."""
    former = torch.backends.quantized.engine
    torch.backends.quantized.engine = _ENGINE
    try:
        yield
    finally:
        torch.backends.quantized.engine = former

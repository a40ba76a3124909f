"""Selects the device and the number format, and configures the memory allocator."""

from __future__ import annotations

import ctypes
import logging
import platform
from functools import cache

import torch

from mammal.errors import ConfigError, did_you_mean

logger = logging.getLogger(__name__)

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SHORT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h of the GNU C library


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """Selects the device to compute on.

    Args:
        device: a device such as "cpu" or "cuda:1"; "auto": a CUDA device if there is one, else the CPU.

    Raises:
        ConfigError: the name is not a device, or the device is not available.
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"no device is called {device!r}", hint="auto, cpu, cuda or cuda:1") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no CUDA device can be used here", hint="device=cpu, or device=auto to use what exists")
    return chosen


def pick_dtype(dtype: str | torch.dtype = "auto", device: torch.device | None = None) -> torch.dtype:
    """Selects the number format of the weights.

    On a CPU with matrix instructions for bfloat16 (`has_bf16_matrix_units`), this format is three times faster. But it
    changes results by about 1 %, so it is only used on a CPU if it is requested.

    Args:
        dtype: a number format such as "float32"; "auto": bfloat16 on CUDA devices that support it, else float32.
        device: device of the model; None: the CPU.

    Raises:
        ConfigError: the name is not a number format of models.
    """
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype == "auto":
        on_cuda = device is not None and device.type == "cuda"
        return torch.bfloat16 if on_cuda and torch.cuda.is_bf16_supported() else torch.float32
    name = _SHORT.get(dtype, dtype)
    if name not in _DTYPES:
        raise ConfigError(f"no number format is called {dtype!r}", hint=did_you_mean(name, [*_DTYPES, "int8"]))
    return _DTYPES[name]


def has_bf16_matrix_units() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AMX, or at least AVX-512 BF16)."""
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in checks)


@cache
def tune_allocator() -> bool:
    """Configures the allocator to keep large activations in the heap of the process; inference calls it once.

    By default the GNU C library maps every block above 128 KiB separately and returns it to the system when it is
    freed. Each large activation then causes page faults again, which takes up to a third of the time with batches of
    long prompts. With the settings, freed memory stays with the process for reuse.

    Returns:
        Whether the allocator accepted the settings (on Linux with the GNU C library).
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    mmap_taken = any(mallopt(_M_MMAP_THRESHOLD, size) == 1 for size in (1 << 30, 1 << 25))  # older versions cap it
    heap_taken = [mallopt(name, size) == 1 for name, size in ((_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 1 << 28))]
    accepted = mmap_taken and all(heap_taken)
    logger.debug("allocator settings %s", "taken" if accepted else "refused")
    return accepted

"""The machine: its description, and its matrix rate, of which results are given as a share."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

import torch
from common import timed
from torch import Tensor

from mammal.model.config import ModelConfig

CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
BF16_MATRIX_FEATURES = ("amx_bf16", "i8mm")


def describe() -> str:
    """Returns one sentence: cores, memory, relevant CPU features, library versions. No names, no dates."""
    import transformers

    features = ", ".join(feature for feature in CPU_FEATURES if feature in cpu_flags()) or "unknown"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = f"GPU {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "no GPU"
    return (
        f"{os.cpu_count()} {platform.machine()} cores ({features}), {memory:.0f} GiB, {gpu}, "
        f"{torch.get_num_threads()} threads; Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__} (the published implementation: transformers 4.57.6)."
    )


def cpu_flags() -> set[str]:
    """Returns the CPU features that the kernel lists; empty if it lists none."""
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return set()
    lines = (line for line in file.read_text().splitlines() if line.startswith(("flags", "Features")))
    return set(next(lines, ":").partition(":")[2].split())


def has_bf16_matrix_instructions() -> bool:
    """Whether the CPU has AMX tiles or similar. AVX-512 BF16 multiplies vectors, at twice the float32 rate, not eight
    times."""
    return bool(cpu_flags() & set(BF16_MATRIX_FEATURES))


@torch.no_grad()
def matrix_rate(config: ModelConfig, dtype: torch.dtype = torch.float32, repeats: int = 3) -> float:
    """Returns the GFLOP/s of the fastest of: a square product of 4,096, and the encoder's own shapes over 3,280 tokens.

    Each product uses `torch.nn.functional.linear` and, if torch has it, weights in oneDNN's blocked layout.
    """
    inner = config.num_heads * config.d_kv
    shapes = [
        (4096, 4096, 4096),
        (3280, config.d_model, 3 * inner),
        (3280, config.d_model, 2 * config.d_ff),
        (3280, config.d_ff, config.d_model),
    ]
    best = 0.0
    for rows, width, columns in shapes:
        x, weight = torch.randn(rows, width).to(dtype), torch.randn(columns, width).to(dtype)
        for multiply in _products(x, weight):
            multiply()
            seconds = min(timed(multiply)[0] for _ in range(repeats))
            best = max(best, 2 * rows * width * columns / seconds / 1e9)
    return best


def _products(x: Tensor, weight: Tensor) -> list[Callable[[], Tensor]]:
    products = [lambda: torch.nn.functional.linear(x, weight)]
    if hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, len(x))
        products.append(lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], ""))
    return products


def encoder_gflop(config: ModelConfig, lengths: list[int]) -> float:
    """Returns the useful GFLOP of one encoder pass: products over real tokens and attention within rows, no padding."""
    inner = config.num_heads * config.d_kv
    projections = 4 * config.d_model * inner + (3 if config.gated else 2) * config.d_model * config.d_ff
    per_layer = sum(2 * length * projections + 4 * length * length * inner for length in lengths)
    return config.num_layers * per_layer / 1e9

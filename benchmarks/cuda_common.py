"""Shared by the parts of the benchmark on a GPU: timing, operations of a batch, the peak, made-up sequences.

Shapes: as in `mammal.tasks.batches.batch`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import torch
from common import FRAGMENTS

from mammal.model.config import ModelConfig
from mammal.tasks.batches.batch import Batch

NOMINAL = {"H200": 989.0, "H100": 989.0, "A100": 312.0}
"""Dense bfloat16 TFLOP/s of the data sheet; other devices are compared with their own measured rate."""
MFU_TARGET = 0.4


def wait(device: str) -> None:
    """Waits until the device has finished its work."""
    if device != "cpu":
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], Any], device: str, *, warm: int = 3, most: int = 20, budget: float = 3.0) -> float:
    """Returns the mean seconds of a call, over as many calls as the budget allows.

    Args:
        work: the call.
        device: device that it uses.
        warm: calls before the clock starts.
        most: maximal number of timed calls.
        budget: seconds after which no further call is begun.
    """
    for _ in range(warm):
        work()
    wait(device)
    begun, calls = time.perf_counter(), 0
    while calls < most and (calls == 0 or time.perf_counter() - begun < budget):
        work()
        calls += 1
    wait(device)
    return (time.perf_counter() - begun) / calls


def matrix_tflops(device: str, size: int) -> float:
    """Returns the TFLOP/s of a square product in bfloat16."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / seconds_of(lambda: a @ b, device, budget=1.0) / 1e12


def peak_tflops(device: str, measured: float) -> float:
    """Returns the rate that a share of the peak refers to: that of the data sheet, if the device is known."""
    name = torch.cuda.get_device_name() if device != "cpu" else ""
    return next((rate for key, rate in NOMINAL.items() if key in name), measured)


def forward_tflop(config: ModelConfig, batch: Batch) -> float:
    """Returns the operations of a forward pass over real tokens, in TFLOP (10^12)."""
    inner = config.num_heads * config.d_kv
    projection, feed = config.d_model * inner, (3 if config.gated else 2) * config.d_model * config.d_ff
    length_B = batch.mask_BL.sum(1).double()
    flop = config.num_layers * (2 * length_B * (4 * projection + feed) + 4 * length_B**2 * inner).sum()
    if batch.decoder_mask_DT is not None:
        length_D = batch.decoder_mask_DT.sum(1).double()
        read_D = length_B if batch.decoder_rows_D is None else length_B[batch.decoder_rows_D]
        own = 2 * length_D * (6 * projection + feed) + 2 * length_D**2 * inner  # later tokens are not read
        cross = 4 * length_D * read_D * inner
        flop += config.num_decoder_layers * (own.sum() + cross.sum() + (4 * length_B * projection).sum())
    if "logits" in batch.wants:
        columns = config.vocab_size if batch.candidates_V is None else len(batch.candidates_V)
        flop += 2 * (batch.read_DR >= 0).sum() * config.d_model * columns
    return float(flop) / 1e12


def molecules(count: int, seed: int = 0) -> list[str]:
    """Returns made-up molecules of 4 to 14 fragments."""
    source = random.Random(seed)
    return ["C" + "".join(source.choices(FRAGMENTS, k=source.randint(4, 14))) for _ in range(count)]


def proteins(count: int, shortest: int, longest: int, seed: int = 0) -> list[str]:
    """Returns made-up proteins."""
    source = random.Random(seed)
    sizes = [source.randint(shortest, longest) for _ in range(count)]
    return ["".join(source.choices("ACDEFGHIKLMNPQRSTVWY", k=size)) for size in sizes]

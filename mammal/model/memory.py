"""Limits the memory of compiled kernels, which would otherwise grow with the number of different batch lengths."""

from __future__ import annotations

import os

_CACHED_KERNELS = "24"
"""More than a pass through a model needs: layers of one shape share their kernels, so it needs about ten.

The memory of a kernel is small, but it lies between activations, whose memory then can't be joined and used again. A
job of 20,000 molecules with a model of 2 million parameters needed 0.65 GB with 24 kernels and 1.2 GB with 128; with
oneDNN's default of 1,024 a tiny model needed a gigabyte more."""


def bound_kernel_caches() -> None:
    """Limits the number of cached kernels that oneDNN compiles, one for each shape of a matrix product.

    Batches of packed rows rarely have the same number of tokens, so the two caches (of oneDNN, and of torch's interface
    to it) fill up with kernels that no later batch uses. The limit has no effect if the process has already used
    oneDNN. Settings of the user are not changed.

    Both libraries read their limit from environment variables and offer no other way to set it: neither torch nor
    oneDNN has a Python function for it. Child processes inherit the limit, which is intended.
    """
    for variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(variable, _CACHED_KERNELS)

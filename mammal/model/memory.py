"""Memory that stays bounded however many different lengths a process meets."""

from __future__ import annotations

import os

_CACHED_KERNELS = "128"
"""More than one pass through a model needs; oneDNN's own 1,024 let a tiny model grow by a gigabyte."""


def bound_kernel_caches() -> None:
    """Keeps fewer of the kernels that oneDNN compiles, one for each shape of a matrix product.

    Batches of packed rows seldom have the same number of tokens, so the two caches (of oneDNN, and of torch's bridge to
    it) fill up with kernels that no later batch uses. Has no effect once the process has used oneDNN, and leaves
    settings of the user's own alone.

    Both libraries read their limit from the environment of the process and offer no other way to set it: neither torch
    nor oneDNN's Python side has a function for it. Processes that this one starts inherit the limit, as they should.
    """
    for variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(variable, _CACHED_KERNELS)

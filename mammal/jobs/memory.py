"""Memory between two shards: what is left of a shard is given back, so that a job of any length stays small."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from functools import cache

from mammal.tasks.molecules.chemistry import forget_molecules


def release_memory() -> None:
    """Forgets molecules that were read, and returns free memory to the system.

    Models keep freed blocks in the heap of the process, because mapping them again for each batch takes time
    (`mammal.model.runtime.tune_allocator`). Small objects that outlive a batch split these blocks, so that the heap
    grows slowly with the number of batches. Once per shard, the pages of free blocks are returned.
    """
    forget_molecules()
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """`malloc_trim` of the GNU C library; None elsewhere."""
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return None
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return None

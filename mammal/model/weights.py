"""Tensors in files, mapped into memory: tensors are read when they are used, and no objects are unpickled.

The mapping is private: training or merging changes the model, but not the file. The file must not be overwritten in
place while a model uses it. `save_checkpoint` replaces it by a new file, which is safe.
"""

from __future__ import annotations

import json
import mmap
import pickle
import struct
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mammal.errors import BundleError

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_CKPT_PREFIX = "_model."


class TensorSource(Protocol):
    """Named tensors of one file."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, by name."""

    def tensor(self, name: str) -> Tensor:
        """Returns a tensor, mapped into memory if the file allows it."""

    def release(self, name: str) -> None:
        """Removes an unused tensor from memory; it is read from the file again if it is requested again."""


class SafetensorsSource:
    """Tensors of a `.safetensors` file.

    Raises:
        BundleError: the file is missing, truncated or corrupt, or a tensor has a number format that weights can't have.
    """

    def __init__(self, path: Path):
        if not path.is_file():
            raise BundleError(f"no file {path.name}", where=str(path.parent))
        try:
            with safe_open(path, framework="pt"):  # checks the header and the length of the file
                pass
        except (SafetensorError, OSError) as error:
            hint = "the download or copy was probably interrupted; fetch the file again"
            raise BundleError(f"corrupt or truncated safetensors file: {error}", where=str(path), hint=hint) from error
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        (header_bytes,) = struct.unpack("<Q", self._map[:8])
        self._entries: dict[str, dict[str, Any]] = json.loads(self._map[8 : 8 + header_bytes])
        self._entries.pop("__metadata__", None)
        self._data_start = 8 + header_bytes
        if odd := [name for name, entry in self._entries.items() if entry["dtype"] not in _DTYPES]:
            number_format = self._entries[odd[0]]["dtype"]
            raise BundleError(f"{odd[0]} has number format {number_format}, which weights can't have", where=str(path))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(entry["shape"]) for name, entry in self._entries.items()}

    def tensor(self, name: str) -> Tensor:
        entry = self._entries[name]
        start = self._data_start + entry["data_offsets"][0]
        flat = torch.frombuffer(self._map, dtype=_DTYPES[entry["dtype"]], count=prod(entry["shape"]), offset=start)
        return flat.view(entry["shape"])

    def release(self, name: str) -> None:
        start, end = (self._data_start + offset for offset in self._entries[name]["data_offsets"])
        first_page = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        if hasattr(mmap, "MADV_DONTNEED") and end > first_page:
            self._map.madvise(mmap.MADV_DONTNEED, first_page, end - first_page)


class CheckpointSource:
    """Tensors of a Lightning `.ckpt`, without the prefix `_model.` in their names.

    Raises:
        BundleError: the file is missing or corrupt, contains pickled objects, or has no weights.
    """

    def __init__(self, path: Path):
        content = _load_tensors_only(path)
        state = content.get("state_dict") if isinstance(content, Mapping) else None
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            raise BundleError("this .ckpt has no state_dict with weights", where=str(path))
        self.config = content.get("config")
        self._state = {name.removeprefix(_CKPT_PREFIX): value for name, value in state.items()}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(tensor.shape) for name, tensor in self._state.items()}

    def tensor(self, name: str) -> Tensor:
        return self._state[name]

    def release(self, name: str) -> None:
        """Does nothing: the operating system manages this memory."""


def _load_tensors_only(path: Path) -> Any:
    if not path.is_file():
        raise BundleError(f"no file {path.name}", where=str(path.parent))
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        hint = "only tensors and plain values are read from a .ckpt; save the model as safetensors, or without objects"
        what = "this .ckpt holds pickled objects, which could run code, so it was not opened"
        raise BundleError(what, where=str(path), hint=hint) from error
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, AttributeError) as error:
        raise BundleError(f"this .ckpt is corrupt or truncated: {error}", where=str(path)) from error

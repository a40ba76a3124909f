"""Tensors in files: read straight into the memory where they will be used, with nothing unpickled.

A safetensors file is read (not mapped): each tensor goes once from the file into its parameter, so loading needs no
second copy, and a file that is replaced later can't change or crash a running model. A `.ckpt` is read with
`weights_only=True`, mapped, so optimizer states in it cost nothing.
"""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mammal.errors import BundleError

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_CKPT_PREFIX = "_model."


class TensorSource(Protocol):
    """Named tensors of one file."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, by name."""

    def read_into(self, name: str, target: Tensor) -> None:
        """Fills `target`, which has the tensor's shape, converting its number format where they differ."""


class SafetensorsSource:
    """Tensors of a `.safetensors` file.

    Raises:
        BundleError: the file is missing, truncated, corrupt, or holds tensors that are no weights.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            with safe_open(path, framework="pt"):  # checks the header, and that the file is as long as it says
                pass
        except FileNotFoundError as error:
            raise BundleError(f"no file {path.name}", where=str(path.parent)) from error
        except (SafetensorError, OSError) as error:
            hint = "the download or copy broke off; fetch the file again"
            raise BundleError(f"corrupt or truncated safetensors file: {error}", where=str(path), hint=hint) from error
        with path.open("rb") as file:
            (header_bytes,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(header_bytes))
        header.pop("__metadata__", None)
        self._entries: dict[str, dict[str, Any]] = header
        self._data_start = 8 + header_bytes
        odd = [name for name, entry in header.items() if entry["dtype"] not in _DTYPES]
        if odd:
            raise BundleError(f"{odd[0]} has number format {header[odd[0]]['dtype']}, no weight's", where=str(path))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(entry["shape"]) for name, entry in self._entries.items()}

    def read_into(self, name: str, target: Tensor) -> None:
        entry = self._entries[name]
        dtype = _DTYPES[entry["dtype"]]
        direct = target.dtype == dtype and target.device.type == "cpu" and target.is_contiguous()
        buffer = target if direct else torch.empty(entry["shape"], dtype=dtype)
        start, end = entry["data_offsets"]
        self._read(buffer, self._data_start + start, end - start)
        if not direct:
            target.copy_(buffer)

    def _read(self, buffer: Tensor, start: int, size: int) -> None:
        view = memoryview(buffer.detach().reshape(-1).view(torch.uint8).numpy())
        with self.path.open("rb", buffering=0) as file:
            file.seek(start)
            done = 0
            while done < size:
                count = file.readinto(view[done:])
                if not count:
                    raise BundleError("the file ended while it was read", where=str(self.path))
                done += count


class CheckpointSource:
    """Tensors of a Lightning `.ckpt`, the prefix `_model.` taken off.

    Raises:
        BundleError: the file is missing or corrupt, holds pickled objects, or has no weights.
    """

    def __init__(self, path: Path):
        self.path = path
        content = _load_tensors_only(path)
        state = content.get("state_dict") if isinstance(content, Mapping) else None
        if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
            raise BundleError("this .ckpt has no state_dict with weights", where=str(path))
        self.config = content.get("config")
        self._state = {name.removeprefix(_CKPT_PREFIX): value for name, value in state.items()}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(tensor.shape) for name, tensor in self._state.items()}

    def read_into(self, name: str, target: Tensor) -> None:
        target.copy_(self._state[name])


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

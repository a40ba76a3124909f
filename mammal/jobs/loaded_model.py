"""Opens the model of a job, and describes everything in it that the bytes of an output depend on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.bundle.locate import CARD, METRICS, ModelSource, locate
from mammal.files import file_hash
from mammal.inference.api import Mammal, load
from mammal.tasks.declaration.schema import stored_config

if TYPE_CHECKING:
    from mammal.tasks.task import Task


def open_model(
    source: str | os.PathLike[str],
    *,
    device: str = "auto",
    dtype: str = "auto",
    tokenizer: str | os.PathLike[str] | None = None,
    batch_tokens: int | None = None,
    config_dirs: Sequence[str | Path] = (),
) -> Mammal:
    """Opens a model that is to answer many rows.

    Args:
        source: the model, as for `mammal.load`.
        device: as for `mammal.load`.
        dtype: as for `mammal.load`.
        tokenizer: as for `mammal.load`.
        batch_tokens: tokens of a batch, padding not counted. None: 8,192 on a CPU, 131,072 on a GPU.
        config_dirs: as for `mammal.load`.

    Raises:
        MammalError: there is no such model, or it can't be opened with these settings.
    """
    model = load(source, device=device, dtype=dtype, tokenizer=tokenizer, config_dirs=config_dirs)
    if batch_tokens is not None:
        model.pace = replace(model.pace, tokens=batch_tokens)
    return model


def model_options(model: Mammal) -> dict[str, Any]:
    """Returns batch size, kind of device and dtype of the model, for the manifest of a job."""
    network = model.model
    dtype = "int8" if network.number_format == "int8" else str(network.dtype)
    return {"batch_tokens": model.pace.tokens, "device": model.device.type, "dtype": dtype}


def task_identity(task: Task | None) -> str:
    """Returns the name of the task with a digest of its declaration and of its fitted values."""
    if task is None:
        return "prompts"
    content = json.dumps([stored_config(task.config), task.state()], sort_keys=True, default=str)
    return f"{task.name} {hashlib.blake2b(content.encode(), digest_size=6).hexdigest()}"


def bundle_files(bundle: str | os.PathLike[str]) -> list[Path]:
    """The files of a bundle, whether it has all of them or not.

    Args:
        bundle: as for `mammal.load`.
    """
    source = locate(bundle)
    folders = (source.folder, *source.others)
    return [*_deciding_files(source), *(folder / name for folder in folders for name in (METRICS, CARD))]


def bundle_hash(bundle: str | os.PathLike[str]) -> str:
    """Returns a content hash of everything in a bundle that predictions depend on.

    The base of an adapter bundle is included, because `config.json` holds its hash.
    """
    digest = hashlib.blake2b(digest_size=16)
    for file in _deciding_files(locate(bundle)):
        if file.is_file():
            digest.update(f"{file.name} {file_hash(file)}\n".encode())
    return digest.hexdigest()


def _deciding_files(source: ModelSource) -> list[Path]:
    files = [source.folder / "config.json", source.folder / "task.yaml", *sorted(source.folder.glob("tokenizer/*"))]
    files += [source.weights] if source.weights.is_file() else sorted(source.weights.glob("*.safetensors"))
    for folder in source.others:
        files += [folder / "config.json", folder / "task.yaml", *sorted(folder.glob("*.safetensors"))]
    return files


def read_by_model(**given: str | os.PathLike[str] | None) -> dict[str, Path]:
    """The files and folders that loading reads, by what they are, for `JobPlan.reads`.

    Args:
        **given: bundles by their keys, such as `bundle`, and `tokenizer`, a folder. None: there is none.
    """
    found: dict[str, Path] = {}
    for key, place in given.items():
        if place is None:
            continue
        if key == "tokenizer":
            files = [Path(place).expanduser(), *Path(place).expanduser().glob("*")]
        else:
            files = [locate(place).folder, *bundle_files(place)]
        found |= {f"{key} ({file.name})": file for file in files}
    return found


def torch_version() -> dict[str, str]:
    """Returns the version of torch, because the exact values of answers depend on it."""
    import torch

    return {"torch": torch.__version__}

"""The model of a job: how it is opened, and what of it decides the bytes of an output."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.bundle.locate import locate
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
    """Opens a model to answer many rows.

    Args:
        source, device, dtype, tokenizer, config_dirs: as for `mammal.load`.
        batch_tokens: tokens of a batch; None: as many as suit the device.

    Raises:
        MammalError: there is no such model, or it can't be opened so.
    """
    model = load(source, device=device, dtype=dtype, tokenizer=tokenizer, config_dirs=config_dirs)
    if batch_tokens is not None:
        model.pace = replace(model.pace, tokens=batch_tokens)
    return model


def model_options(model: Mammal) -> dict[str, Any]:
    """How the model computes, as options of a manifest."""
    return {"batch_tokens": model.pace.tokens, "device": model.device.type, "dtype": str(model.model.dtype)}


def task_identity(task: Task | None) -> str:
    """Name of the task, and a digest of everything that it says and has learnt."""
    if task is None:
        return "prompts"
    content = json.dumps([stored_config(task.config), task.state()], sort_keys=True, default=str)
    return f"{task.name} {hashlib.blake2b(content.encode(), digest_size=6).hexdigest()}"


def bundle_hash(bundle: str | os.PathLike[str]) -> str:
    """Content hash of everything in a bundle that decides a prediction; a base stands in `config.json` by its hash."""
    source = locate(bundle)
    files = [source.folder / "config.json", source.folder / "task.yaml", *sorted(source.folder.glob("tokenizer/*"))]
    files += [source.weights] if source.weights.is_file() else sorted(source.weights.glob("*.safetensors"))
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        if file.is_file():
            digest.update(f"{file.name} {file_hash(file)}\n".encode())
    return digest.hexdigest()


def torch_version() -> dict[str, str]:
    """The version of torch, which decides the bytes of what a model answers."""
    import torch

    return {"torch": torch.__version__}

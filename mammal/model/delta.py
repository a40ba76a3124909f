"""Stores only the weights that training changed: adapters and heads, without the frozen weights.

Tensors have their published names, so a delta file is a part of a checkpoint with adapters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from mammal.errors import BundleError
from mammal.model import lora
from mammal.model.checkpoint import check_shape, merge_adapters, write_config
from mammal.model.model import MammalModel
from mammal.model.weights import TensorSource
from mammal.tasks.tables.atomic import atomic_file

DELTA_FILE = "adapters.safetensors"
LEARNED = "learned_tensors"
"""Key in the block `mammal` of `config.json`: the names of the tensors in the file."""


def save_delta(model: MammalModel, folder: Path, *, extra: Mapping[str, Any] | None = None) -> None:
    """Writes `adapters.safetensors` and the `config.json` of the whole model, which lists the stored tensors.

    Args:
        model: a model whose adapters were merged into the weights.
        folder: an existing folder.
        extra: further content of `config.json`, as for `save_checkpoint`.
    """
    tensors = learned_tensors(model)
    with atomic_file(folder / DELTA_FILE) as partial:
        save_file(tensors, partial)
    own = {**(extra or {}).get("mammal", {}), LEARNED: sorted(tensors)}
    write_config(model, folder, tensors, {**(extra or {}), "mammal": own})


def learned_tensors(model: MammalModel) -> dict[str, Tensor]:
    """Returns both matrices of every merged adapter, and every other trainable weight, by published name."""
    tensors = {
        name: weight.detach().cpu().contiguous()
        for name, weight in model.named_parameters()
        if weight.requires_grad and name not in model.adapters
    }
    for name, adapter in model.adapters.items():
        parts = (adapter.a_RW.cpu().contiguous(), adapter.b_OR.cpu().contiguous())
        tensors |= dict(zip(lora.wrapped_names(name)[1:], parts, strict=True))
    return tensors


@torch.inference_mode(False)
def apply_delta(model: MammalModel, source: TensorSource, alpha: float, learned: Collection[str] | None = None) -> None:
    """Puts trained tensors into the base model that they were trained on; adapters are merged into the weights.

    Args:
        model: the base model; it is changed in place.
        source: contains the trained tensors.
        alpha: `LoraConfig.lora_alpha` of the adapters.
        learned: names of the tensors that the file should contain; None if they were not recorded.

    Raises:
        BundleError: a tensor fits no part of the model, is missing, or is not among `learned`. If a tensor of a head
            were missing, the head would use the weights of the base, or random ones.
    """
    if learned is not None and (unmatched := sorted({*source.shapes()} ^ {*learned})):
        missing = [name for name in unmatched if name in learned]
        what = f"lacks {len(missing)} of the {len(learned)} trained tensors" if missing else "contains other tensors"
        shown = (missing or unmatched)[0]
        raise BundleError(f"{DELTA_FILE} {what}, such as {shown}", hint="copy the bundle again, whole")
    adapters = {name for name in source.shapes() if lora.is_adapter(name)}
    weights = dict(model.named_parameters())
    for name, shape in source.shapes().items():
        if name in adapters:
            continue
        if name not in weights:
            raise BundleError(f"{name} fits no part of the base model")
        check_shape(name, shape, tuple(weights[name].shape))
        weights[name].data.copy_(source.tensor(name))
    model.config = replace(model.config, lora_alpha=alpha)
    merge_adapters(model, source, adapters)

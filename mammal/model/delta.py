"""What training changed in a model: adapters and heads, kept without the weights that stayed as they were.

Tensors have their published names, so a delta file reads like an excerpt of a checkpoint with adapters.
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
"""Key of `config.json`, in its block `mammal`: the names of what the file holds."""


def save_delta(model: MammalModel, folder: Path, *, extra: Mapping[str, Any] | None = None) -> None:
    """Writes `adapters.safetensors` and the `config.json` of the whole model, which lists the tensors beside it.

    Args:
        model: with adapters folded in.
        extra: as for `save_checkpoint`.
    """
    tensors = learned_tensors(model)
    with atomic_file(folder / DELTA_FILE) as partial:
        save_file(tensors, partial)
    own = {**(extra or {}).get("mammal", {}), LEARNED: sorted(tensors)}
    write_config(model, folder, tensors, {**(extra or {}), "mammal": own})


def learned_tensors(model: MammalModel) -> dict[str, Tensor]:
    """Both parts of every adapter that was folded in, and each other weight that was set to learn."""
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
    """Put learned tensors into the model that they were learned on; adapters are folded in.

    Args:
        alpha: of the adapters, `LoraConfig.lora_alpha`.
        learned: names of the tensors that there should be; None where that was not recorded.

    Raises:
        BundleError: a tensor fits no part of the model, is missing, or should not be there. Without its part of the
            delta a head would answer as the base's did, or at random.
    """
    if learned is not None and (astray := sorted({*source.shapes()} ^ {*learned})):
        missing = [name for name in astray if name in learned]
        what = f"lacks {len(missing)} of the {len(learned)} tensors that were learned" if missing else "holds others"
        shown = (missing or astray)[0]
        raise BundleError(f"{DELTA_FILE} {what}, such as {shown}", hint="copy the bundle again, whole")
    adapters = {name for name in source.shapes() if lora.is_adapter(name)}
    weights = dict(model.named_parameters())
    for name, shape in source.shapes().items():
        if name in adapters:
            continue
        if name not in weights:
            raise BundleError(f"{name} fits no part of the base")
        check_shape(name, shape, tuple(weights[name].shape))
        weights[name].data.copy_(source.tensor(name))
    model.config = replace(model.config, lora_alpha=alpha)
    merge_adapters(model, source, adapters)

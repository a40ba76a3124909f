"""Members of an ensemble of fine-tuned models: each has heads or low-rank adapters of its own, and shares all other
weights with the model that it belongs to.

Adapters of members are not merged into the weights, because then each member would need a copy of the adapted weights.

Shapes: O outputs, W inputs, R rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from mammal.errors import BundleError
from mammal.model import lora
from mammal.model.checkpoint import check_shape
from mammal.model.layers import AdaptedLinear, Linear
from mammal.model.model import MammalModel
from mammal.model.products import Product


@torch.inference_mode(False)
def add_members(model: MammalModel, every: Sequence[Mapping[str, Tensor]], alpha: float) -> None:
    """Gives a model the members of an ensemble, which answer in place of its heads.

    Args:
        model: has the weights that the members share; it is changed in place.
        every: for each member its own tensors by published name, as `learned_tensors` returns them: both matrices of
            each adapter, and other weights. They are converted to the device and number format of the model.
        alpha: `LoraConfig.lora_alpha` of the adapters; without adapters it has no effect.

    Raises:
        BundleError: a tensor fits no part of the model, or an adapter is incomplete.
    """
    model.members = ()
    model.members = tuple(_member(model, tensors, alpha) for tensors in every)


def member_tensors(member: MammalModel) -> dict[str, Tensor]:
    """Returns the tensors that a member does not share, by published name, on the CPU.

    Args:
        member: one of `MammalModel.members`.
    """
    found: dict[str, Tensor] = {}
    for name in sorted(member.own):
        module = member.get_submodule(name.rpartition(".")[0])
        if isinstance(module, AdaptedLinear):
            found |= dict(zip(lora.wrapped_names(name)[1:], (module.a_RW, module.b_OR), strict=True))
        else:
            found[name] = member.get_parameter(name)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}


def members_alpha(model: MammalModel) -> float:
    """Returns `lora_alpha` of the adapters of a model's members; 0 if they have none."""
    layers = (module for member in model.members for module in member.modules() if isinstance(module, AdaptedLinear))
    return next((layer.scale * len(layer.a_RW) for layer in layers), 0.0)


def _member(model: MammalModel, tensors: Mapping[str, Tensor], alpha: float) -> MammalModel:
    member = _sharing_copy(model)
    adapted = {lora.adapted_weight(name) for name in tensors if lora.is_adapter(name)}
    for weight in sorted(adapted):
        _adapt(member, weight, tensors, alpha)
    plain = {name: tensor for name, tensor in tensors.items() if not lora.is_adapter(name)}
    known = dict(member.named_parameters())
    for name, tensor in plain.items():
        if name not in known:
            raise BundleError(f"{name} of a member fits no part of the model")
        check_shape(name, tuple(tensor.shape), tuple(known[name].shape))
        _replace(member, name, tensor.to(model.device, model.dtype).clone())
    member.own = frozenset(adapted | plain.keys())
    return member.eval()


def _sharing_copy(model: MammalModel) -> MammalModel:
    """A copy of the modules with the same weights in memory, and the same copies of weights that inference makes."""
    shared: list[Any] = [*model.parameters(), *model.buffers(), model.config]
    shared += [value for module in model.modules() for value in vars(module).values() if isinstance(value, Product)]
    memo: dict[int, Any] = {id(value): value for value in shared}
    memo[id(model.adapters)] = {}
    return deepcopy(model, memo)


def _adapt(member: MammalModel, weight: str, tensors: Mapping[str, Tensor], alpha: float) -> None:
    """Replaces a linear layer by one that adds a low-rank product to it."""
    place, _, _ = weight.rpartition(".")
    parts = lora.wrapped_names(weight)[1:]
    layer = dict(member.named_modules()).get(place)
    if not isinstance(layer, Linear) or any(name not in tensors for name in parts):
        raise BundleError(f"the adapter of {weight} in a member is incomplete, or fits no part of the model")
    a_RW, b_OR = (tensors[name].to(layer.weight) for name in parts)
    check_shape(parts[0], tuple(a_RW.shape), (len(a_RW), layer.in_features))
    check_shape(parts[1], tuple(b_OR.shape), (layer.out_features, len(a_RW)))
    adapted = AdaptedLinear(layer, a_RW.clone(), b_OR.clone(), alpha / len(a_RW))
    member.set_submodule(place, adapted)


def _replace(member: MammalModel, name: str, tensor: Tensor) -> None:
    """Gives a module of a member its own weight, and the modules that compute with it their own copies of weights."""
    place, _, attribute = name.rpartition(".")
    module = member.get_submodule(place)
    setattr(module, attribute, nn.Parameter(tensor, requires_grad=False))
    for one in (module, member.get_submodule(place.rpartition(".")[0])):
        for key, value in vars(one).items():
            if isinstance(value, Product):
                vars(one)[key] = deepcopy(value)

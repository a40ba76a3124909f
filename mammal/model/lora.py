"""Low-rank adapters of published checkpoints: merged into the weights for use, separated again for saving.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021). The published code wraps `t5_model` with
peft, on the query and value projections. Rank, alpha and targets are not stored in checkpoints: the rank is read from
the shapes, and alpha is 8, the constant of the published code.

Shapes: O outputs, W inputs, R rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

WRAPPED = "t5_model.base_model.model."
PLAIN = "t5_model."


@dataclass(frozen=True)
class LowRank:
    """One adapted weight: `base_OW + scale * b_OR @ a_RW`."""

    base_OW: Tensor
    a_RW: Tensor
    b_OR: Tensor
    scale: float

    def merged(self) -> Tensor:
        """The merged weight, in the number format of the base."""
        delta_OW = self.b_OR.float() @ self.a_RW.float()
        return (self.base_OW.float() + self.scale * delta_OW).to(self.base_OW.dtype)


def plain_name(name: str) -> str:
    """The name of a tensor without the parts that peft adds; names of adapters keep their ending."""
    if name.startswith(WRAPPED):
        name = PLAIN + name.removeprefix(WRAPPED)
    return name.replace(".base_layer.", ".")


def is_adapter(name: str) -> bool:
    return ".lora_" in name


def adapted_weight(name: str) -> str:
    """The plain name of the weight that an adapter tensor belongs to."""
    return plain_name(name).split(".lora_")[0] + ".weight"


def wrapped_names(weight: str) -> tuple[str, str, str]:
    """The published names of an adapted weight: (base, A, B)."""
    stem = WRAPPED + weight.removeprefix(PLAIN).removesuffix(".weight")
    return f"{stem}.base_layer.weight", f"{stem}.lora_A.default.weight", f"{stem}.lora_B.default.weight"


def equals_merged(adapter: LowRank, weight: Tensor) -> bool:
    """Whether `weight` still equals the merged weight, so that it can be restored from base and adapter."""
    same_kind = weight.dtype == adapter.base_OW.dtype and weight.shape == adapter.base_OW.shape
    return same_kind and torch.equal(weight.detach().cpu(), adapter.merged().cpu())

"""The parts of a model that a format can lack, and the copy of a model that is exported."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mammal.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task

TRANSFORMERS, ONNX = "transformers", "onnx"
FORMATS = (TRANSFORMERS, ONNX)

INPUT_SCALARS, EXTERNAL_EMBEDDINGS = "input_scalars", "external_embeddings"
PARTS = {
    "encoder_head": "the token head on the encoder",
    "scalars_prediction_head": "the scalar head on the encoder",
    "decoder_scalars": "the scalar head on the decoder",
    INPUT_SCALARS: "the projection of numbers in prompts",
    EXTERNAL_EMBEDDINGS: "the projections of external embeddings",
}
"""Parts of a model that T5 does not have. A head without an entry is a part with the name of its module."""

_MODULES = {
    "decoder_scalars_head": "decoder_scalars",
    "project_input_scalars": INPUT_SCALARS,
    "project_external_embeddings": EXTERNAL_EMBEDDINGS,
}
"""Module -> name of the part, if they differ."""

_NOT_PARTS = ("t5_model", "vector_heads")
_HELD_BY = {TRANSFORMERS: (), ONNX: tuple(name for name in PARTS if name != EXTERNAL_EMBEDDINGS)}
"""Parts that the files of a format can hold. An ONNX graph has the encoder and its heads only, by definition."""


def check_format(name: str) -> None:
    """Checks the name of a format.

    Raises:
        ConfigError: there is no such format.
    """
    if name not in FORMATS:
        raise ConfigError(f"there is no export format {name!r}", hint=did_you_mean(str(name), FORMATS, noun="format"))


def parts_of_model(model: MammalModel) -> list[str]:
    """The parts that a model has in addition to T5, those in `PARTS` first."""
    found = {
        _MODULES.get(name, name)
        for name, module in model.named_children()
        if name not in _NOT_PARTS and any(True for _ in module.parameters())
    }
    return [*(name for name in PARTS if name in found), *sorted(found - PARTS.keys())]


def check_parts(model: MammalModel, format: str, leave_out: Sequence[str]) -> list[str]:
    """Checks that a format can hold a model, except for the parts that the caller leaves out.

    Args:
        model: the model.
        format: a name in `FORMATS`.
        leave_out: names of parts; those in `PARTS` that the model does not have are ignored.

    Returns:
        The parts of the model that are left out.

    Raises:
        ConfigError: there is no part of such a name, or the format can't hold another part of the model, its
            attention, or an ensemble.
    """
    if model.members:
        what = f"the model is an ensemble of {len(model.members)} members, and the format holds one model"
        raise ConfigError(what, where=f"format={format}", hint="train with adapt.ensemble=1")
    there = parts_of_model(model)
    known = [*PARTS, *(name for name in there if name not in PARTS)]
    for name in leave_out:
        if name not in known:
            hint = did_you_mean(str(name), known, noun="part")
            raise ConfigError(f"there is no part {name!r} of a model", where="leave_out", hint=hint)
    if format == TRANSFORMERS and model.config.cross_attention_num_buckets:
        what = "the model has position biases in attention to the encoder, which T5 in transformers does not have"
        hint = "format=onnx exports the encoder; models with cross_attention_num_buckets: 0 have the attention of T5"
        raise ConfigError(what, where=f"format={format}", hint=hint)
    if lacked := [name for name in there if name not in (*_HELD_BY[format], *leave_out)]:
        listed = ", ".join(f"{name} ({PARTS[name]})" if name in PARTS else name for name in lacked)
        every = ",".join(name for name in there if name not in _HELD_BY[format])
        in_graph = format != ONNX and set(lacked) <= {*_HELD_BY[ONNX]}
        hint = f"leave_out=[{every}] exports the rest" + ("; format=onnx has the heads" if in_graph else "")
        raise ConfigError(f"the format can't hold {listed}", where=f"format={format}", hint=hint)
    return [name for name in there if name in leave_out]


def reads_values(task: Task) -> bool:
    """Whether every prompt of a task has numbers or vectors in addition to token ids."""
    numbers = any(slot.part == "input" and slot.kind == "scalar" for slot in task.template.slots)
    return numbers or bool(task.features)


def exported_model(model: MammalModel) -> MammalModel:
    """The model on the CPU, in float32, in evaluation mode and with merged adapters.

    It is a copy, unless the model already has this form.
    """
    import torch

    wrapped = hasattr(model.t5_model, "peft_config")
    if not wrapped and model.dtype == torch.float32 and model.device.type == "cpu" and not model.training:
        return model
    plain = copy.deepcopy(model).to("cpu", torch.float32).eval()
    if wrapped:
        plain.t5_model = plain.t5_model.merge_and_unload()  # type: ignore[operator]
    return plain

"""Checkpoints in the published format: a folder with `config.json` and `model.safetensors`, or a Lightning `.ckpt`.

Only this file handles the names of stored tensors. The embedding has three names (four with a tied head), and a file
may contain any of them. In LoRA files every name of the T5 part has a prefix of peft. Names of heads have none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mammal.errors import BundleError, did_you_mean
from mammal.files import read_json
from mammal.model import lora
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.model.weights import CheckpointSource, SafetensorsSource, TensorSource
from mammal.tasks.tables.atomic import atomic_file

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


@torch.inference_mode(False)  # weights made in inference mode could never be trained
def load_checkpoint(
    path: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    allow_extra: bool = False,
) -> tuple[MammalModel, dict[str, Any]]:
    """Reads a model for inference (in eval mode).

    Args:
        path: a folder with `config.json` and `model.safetensors`, or a `.ckpt` file with `config.json` in the same
            folder.
        device: device of the weights.
        dtype: number format of the weights; they are converted while reading.
        allow_extra: ignore unknown keys of `config.json` instead of refusing them.

    Returns:
        The model, and the parsed `config.json`.

    Raises:
        BundleError: a file is missing, is corrupt or contains pickled objects, or the files don't fit each other.
    """
    path = Path(path)
    config = read_config(path)
    source: TensorSource = CheckpointSource(path) if path.suffix == ".ckpt" else SafetensorsSource(_weights_file(path))
    try:
        shape = ModelConfig.from_published(config, allow_extra=allow_extra)
        model = _assemble(shape, source, bool(config.get("use_lora")), torch.device(device), dtype)
    except BundleError as error:
        error.where = error.where or str(path)
        raise
    return model.eval(), config


def read_config(path: str | Path) -> dict[str, Any]:
    """Reads the `config.json` of a model.

    Args:
        path: a folder with `config.json`, or a `.ckpt` file with `config.json` in the same folder or in itself.

    Raises:
        BundleError: the file is missing or can't be read.
    """
    path = Path(path)
    if path.suffix != ".ckpt":
        return _read_config(path)
    if (path.parent / CONFIG_FILE).is_file():
        return _read_config(path.parent)
    config = CheckpointSource(path).config
    if not isinstance(config, dict):
        hint = "put the model's config.json into its folder; a config pickled into the .ckpt is not read"
        raise BundleError(f"no {CONFIG_FILE} next to {path.name}", where=str(path.parent), hint=hint)
    return config


def save_checkpoint(model: MammalModel, folder: str | Path, *, extra: Mapping[str, Any] | None = None) -> None:
    """Writes `config.json` and `model.safetensors` in the published format. Each file is replaced only when complete.

    Adapters that were merged on loading, or that peft holds, are written as adapters again. Loading the files gives
    bitwise the same weights.

    Args:
        model: a `MammalModel`; its `t5_model` may be wrapped by peft.
        folder: is created if it does not exist.
        extra: further content of `config.json`, which replaces equal keys ("mammal" is merged key by key).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kept, dropped = _without_aliases(_published_tensors(model))
    with atomic_file(folder / WEIGHTS_FILE) as partial:
        save_file(kept, partial, metadata=dropped)
    write_config(model, folder, kept, extra)


def write_config(
    model: MammalModel, folder: Path, tensors: Iterable[str], extra: Mapping[str, Any] | None = None
) -> None:
    """Writes the `config.json` for stored tensors.

    Args:
        model: the model.
        folder: an existing folder.
        tensors: names of the stored tensors.
        extra: further content of `config.json`, which replaces equal keys ("mammal" is merged key by key).
    """
    config = replace(model.config, lora_alpha=_alpha(model)).to_published()
    config["use_lora"] = any(lora.is_adapter(name) for name in tensors)
    for key, value in (extra or {}).items():
        config[key] = {**config.get(key, {}), **value} if key == "mammal" else value
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    with atomic_file(folder / CONFIG_FILE) as partial:
        partial.write_text(text, encoding="utf-8")


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG_FILE
    if not folder.is_dir():
        raise BundleError(f"no such folder: {folder}")
    if not file.is_file():
        raise BundleError(f"no {CONFIG_FILE}, so this is not the folder of a model", where=str(folder))
    return read_json(file)


def _weights_file(folder: Path) -> Path:
    file = folder / WEIGHTS_FILE
    if not file.is_file() and (others := sorted(folder.glob("*.ckpt"))):
        raise BundleError(f"no {WEIGHTS_FILE}", where=str(folder), hint=f"name the checkpoint file: {others[0]}")
    return file


def _assemble(
    config: ModelConfig, source: TensorSource, use_lora: bool, device: torch.device, dtype: torch.dtype
) -> MammalModel:
    """A model whose parameters are the tensors of the file, without a copy if no conversion is needed."""
    model = MammalModel(config, init=False)
    shapes = source.shapes()
    adapters = {name for name in shapes if lora.is_adapter(name)}
    if adapters and not use_lora:
        raise BundleError("the weights hold LoRA adapters but config.json says use_lora: false")
    plain = {name: lora.plain_name(name) for name in shapes if name not in adapters}
    targets = dict(model.named_parameters(remove_duplicate=False))
    loaded: dict[int, nn.Parameter] = {}
    for name, (first, *others) in _match(targets, plain).items():
        for found in (first, *others):
            check_shape(found, shapes[found], tuple(targets[name].shape))
        for found in others:
            if not torch.equal(source.tensor(found), source.tensor(first)):
                raise BundleError(f"{found} and {first} are the same tensor in this model but differ in the file")
        loaded[id(targets[name])] = nn.Parameter(source.tensor(first).to(device, dtype))
        if loaded[id(targets[name])].data_ptr() != source.tensor(first).data_ptr():
            source.release(first)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, loaded[id(parameter)])
    merge_adapters(model, source, adapters)
    return model


def _match(targets: Mapping[str, Tensor], plain: Mapping[str, str]) -> dict[str, list[str]]:
    """The stored tensors that belong to each parameter; a parameter with several names is listed once."""
    canonical: dict[int, str] = {}
    names = {name: canonical.setdefault(id(parameter), name) for name, parameter in targets.items()}
    if unknown := sorted(set(plain.values()) - set(names)):
        hint = did_you_mean(unknown[0], names, noun="weight")
        raise BundleError(f"{len(unknown)} weights fit no part of this model, e.g. {unknown[0]}", hint=hint)
    stored: dict[str, list[str]] = {name: [] for name in names.values()}
    for found, name in plain.items():
        stored[names[name]].append(found)
    if missing := sorted(name for name, sources in stored.items() if not sources):
        shown = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise BundleError(
            f"{len(missing)} weights are missing: {shown}", hint="config.json may belong to another model"
        )
    return stored


def check_shape(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Checks the shape of a stored tensor.

    Args:
        name: name of the tensor, for the message.
        found: shape of the stored tensor.
        expected: shape in the model.

    Raises:
        BundleError: the shapes differ.
    """
    if found != expected:
        raise BundleError(f"{name} has shape {list(found)}, config.json requires {list(expected)}")


def merge_adapters(model: MammalModel, source: TensorSource, adapters: set[str]) -> None:
    """Merges stored adapters into the weights, and keeps them in `model.adapters` for saving.

    Args:
        model: is changed in place.
        source: contains the tensors of the adapters.
        adapters: names of those tensors.

    Raises:
        BundleError: an adapter is incomplete or fits no part of the model.
    """
    shapes = source.shapes()
    weights = dict(model.named_parameters())
    for name in sorted({lora.adapted_weight(adapter) for adapter in adapters}):
        a_name, b_name = lora.wrapped_names(name)[1:]
        if name not in weights or not {a_name, b_name} <= adapters:
            raise BundleError(f"the adapter of {name} is incomplete, or fits no part of this model")
        weight = weights[name]
        rank = shapes[a_name][0]
        check_shape(a_name, shapes[a_name], (rank, weight.shape[1]))
        check_shape(b_name, shapes[b_name], (weight.shape[0], rank))
        a_RW, b_OR = (source.tensor(part).to(weight) for part in (a_name, b_name))
        adapter = lora.LowRank(weight.detach(), a_RW, b_OR, model.config.lora_alpha / rank)
        weight.data = adapter.merged()
        model.adapters[name] = adapter


def _published_tensors(model: MammalModel) -> dict[str, Tensor]:
    """Every tensor by its published name, including further names of the same tensor."""
    state = model.state_dict()
    adapters = model.adapters
    if not adapters or not all(lora.equals_merged(adapter, state[name]) for name, adapter in adapters.items()):
        return state
    tensors = {_wrapped(name): tensor for name, tensor in state.items() if name not in adapters}
    for name, adapter in adapters.items():
        values = (adapter.base_OW, adapter.a_RW, adapter.b_OR)
        tensors |= dict(zip(lora.wrapped_names(name), values, strict=True))
    return tensors


def _alpha(model: MammalModel) -> float:
    """`lora_alpha` of the adapters that the model has or that were merged into it."""
    worn = [float(adapter.lora_alpha) for adapter in getattr(model.t5_model, "peft_config", {}).values()]
    merged = [adapter.scale * len(adapter.a_RW) for adapter in model.adapters.values()]
    return next(iter(worn + merged), model.config.lora_alpha)


def _wrapped(name: str) -> str:
    return lora.WRAPPED + name.removeprefix(lora.PLAIN) if name.startswith(lora.PLAIN) else name


def _without_aliases(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Each tensor once, by its alphabetically first name, and a mapping of removed names to kept names."""
    first: dict[tuple[int, ...], str] = {}
    kept, dropped = {}, {}
    for name in sorted(tensors):
        keeper = first.setdefault((tensors[name].data_ptr(), *tensors[name].shape), name)
        if keeper == name:
            kept[name] = tensors[name].cpu()
        else:
            dropped[name] = keeper
    return kept, dropped

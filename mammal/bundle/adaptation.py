"""Records how a bundle was fine-tuned from another one, and loads adapter bundles on top of their base."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.bundle.locate import CONFIG, DELTA, MEMBERS, TOKENIZER, WEIGHTS, ModelSource, locate, shipped_name
from mammal.errors import BundleError
from mammal.files import file_hash, read_json

if TYPE_CHECKING:
    import torch

    from mammal.model.model import MammalModel


@dataclass(frozen=True)
class Adaptation:
    """How a bundle was fine-tuned, as recorded in its `config.json`.

    Attributes:
        base: the model that was fine-tuned: a hub id, the name of a shipped bundle, or a path relative to the bundle.
        base_hash: content hash of the weights of the base.
        method: which weights were trained: "full", "lora" or "head".
        settings: settings of the method: rank, alpha, dropout and targets of LoRA.
    """

    base: str
    base_hash: str
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def adapted_from(
    base: str | os.PathLike[str], folder: Path, method: str, settings: Mapping[str, Any] | None = None
) -> Adaptation:
    """Returns the record of how a bundle was fine-tuned.

    Args:
        base: the model that was fine-tuned.
        folder: folder of the new bundle.
        method: which weights were trained: "full", "lora" or "head".
        settings: settings of the method.

    Raises:
        BundleError: there is no model at `base`.
    """
    source = locate(base)
    name = str(base)
    if (shipped := shipped_name(source.folder)) is not None:
        name = shipped
    elif Path(base).expanduser().exists():  # relative to the bundle, so that both folders can be moved together
        name = os.path.relpath(Path(base).expanduser().resolve(), folder.expanduser().resolve())
    return Adaptation(name, weights_hash(source), method, dict(settings or {}))


def moved(config: Mapping[str, Any], source: Path | None, folder: Path) -> Adaptation | None:
    """The record of how a bundle was fine-tuned, for a copy in another folder.

    Args:
        config: contents of `config.json` of the bundle.
        source: folder of the bundle; None if it was not read from a folder.
        folder: folder of the copy. A relative path of the base model starts from it.

    Returns:
        The record; None if the bundle was not fine-tuned.
    """
    stored: dict[str, Any] | None = (config.get("mammal") or {}).get("adaptation")
    if not stored:
        return None
    made = Adaptation(**stored)
    if source is None or Path(made.base).is_absolute() or not (base := source / made.base).exists():
        return made
    return replace(made, base=os.path.relpath(base.resolve(), folder.expanduser().resolve()))


def weights_hash(source: ModelSource) -> str:
    """Returns the content hash of the weights of a model."""
    stored = source.weights / (DELTA if is_delta(source) else WEIGHTS)
    return file_hash(source.weights if source.weights.is_file() else stored)


def is_delta(source: ModelSource) -> bool:
    """Returns whether a folder is an adapter bundle, which contains only the weights that differ from its base."""
    return source.weights.is_dir() and (source.folder / DELTA).is_file()


def tokenizer_folder(source: ModelSource, base: str | os.PathLike[str] | None = None) -> Path:
    """Returns the folder of a model's tokenizer. An adapter bundle without one has that of its base.

    Args:
        source: where the model is.
        base: as for `load_model`.

    Raises:
        BundleError: the base of an adapter bundle is not found, or is not the model that was fine-tuned.
    """
    own = source.folder / TOKENIZER
    found = None if own.is_dir() else base_source(source, base)
    return own if found is None else found.folder / TOKENIZER


def base_source(
    source: ModelSource, base: str | os.PathLike[str] | None = None, *, check: bool = True
) -> ModelSource | None:
    """Returns where the base of an adapter bundle is; None for other models.

    Args:
        source: where the model is.
        base: as for `load_model`.
        check: compare the hash of its weights, which `load_model` does in any case.

    Raises:
        BundleError: the base is not found, or is not the model that was fine-tuned.
    """
    if not is_delta(source):
        return None
    return _base_of(_recorded(read_json(source.folder / CONFIG), source.folder), source.folder, base, check=check)


def check_joined(source: ModelSource) -> None:
    """Checks that heads can be one model: all of them read the same encoder, and none has weights of its own.

    Args:
        source: where the heads are.

    Raises:
        BundleError: a head reads another encoder, or has trained weights.
    """
    first: Adaptation | None = None
    for folder in (source.folder, *source.others) if source.others else ():
        config = read_json(folder / CONFIG)
        made = _recorded(config, folder)
        first = first or made
        if made.base_hash != first.base_hash or config["mammal"].get("learned_tensors"):
            what = "can't be loaded together with other heads: it reads another encoder, or has weights of its own"
            raise BundleError(what, where=str(folder), hint="predict its task in a run of its own")


def load_model(
    source: ModelSource,
    *,
    base: str | os.PathLike[str] | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> tuple[MammalModel, dict[str, Any]]:
    """Loads a model and its `config.json`, with the members of an ensemble.

    For an adapter bundle, its weights are applied to those of its base.

    Args:
        source: where the model is.
        base: folder of the base of an adapter bundle, if it was moved. It has no effect for other bundles.
        device: device for the weights.
        dtype: number format of the weights. Default: float32.

    Returns:
        The model in evaluation mode, and the contents of `config.json`.

    Raises:
        BundleError: a part is missing, damaged or belongs to another model; or the base is not found, or is not the
            model that was fine-tuned.
    """
    import torch

    from mammal.model.checkpoint import load_checkpoint

    dtype = dtype or torch.float32
    if not is_delta(source):
        model, config = load_checkpoint(source.weights, device=device, dtype=dtype, allow_extra=True)
        _add_members(model, config, source.folder)
        return model, config
    from mammal.model.config import ModelConfig
    from mammal.model.delta import LEARNED, apply_delta
    from mammal.model.weights import SafetensorsSource

    config = read_json(source.folder / CONFIG)
    adaptation = _recorded(config, source.folder)
    found = _base_of(adaptation, source.folder, base)
    model, _ = load_checkpoint(found.weights, device=device, dtype=dtype, allow_extra=True)
    try:
        # Parts that the base does not have were trained, so their weights are in the delta.
        shape = ModelConfig.from_published(config, allow_extra=True)
        model.add_external_embeddings(shape.external_embeddings)
        model.add_vector_heads(shape.vector_heads)
        model.keep_vector_heads(shape.vector_heads)
        if shape.decoder_scalars:
            model.add_decoder_scalars()
        if shape.support_input_scalars:
            model.add_input_scalars()
        if shape.scalars_prediction_head is not None:
            model.add_encoder_scalars(shape.scalars_prediction_head)
        if shape.encoder_head_layers is not None:
            model.add_encoder_head(shape.encoder_head_layers, shape.encoder_head_dropout)
        alpha = float(adaptation.settings.get("alpha", model.config.lora_alpha))
        apply_delta(model, SafetensorsSource(source.folder / DELTA), alpha, config["mammal"].get(LEARNED))
        _add_members(model, config, source.folder)
    except BundleError as error:
        error.where = error.where or str(source.folder)
        raise
    return model.eval(), config


def save_members(model: MammalModel, folder: Path) -> None:
    """Writes `members.safetensors`: what each member of an ensemble does not share, as `NUMBER/TENSOR` from 0 on.

    Args:
        model: a model with members.
        folder: an existing folder.
    """
    from safetensors.torch import save

    from mammal.model.members import member_tensors

    tensors = {
        f"{number}/{name}": tensor
        for number, member in enumerate(model.members)
        for name, tensor in member_tensors(member).items()
    }
    (folder / MEMBERS).write_bytes(save(tensors))  # `save_file` lets only the owner read the file


def members_record(model: MammalModel) -> dict[str, Any]:
    """Returns the entry `members` of the block `mammal` in `config.json`; empty for a single model.

    Args:
        model: the model.
    """
    from mammal.model.members import member_tensors, members_alpha

    if not model.members:
        return {}
    tensors = [len(member_tensors(member)) for member in model.members]
    return {"members": {"count": len(model.members), "alpha": members_alpha(model), "tensors": sum(tensors)}}


def _add_members(model: MammalModel, config: Mapping[str, Any], folder: Path) -> None:
    """Gives a model the members that its `config.json` names."""
    from mammal.model.members import add_members
    from mammal.model.weights import SafetensorsSource

    recorded = (config.get("mammal") or {}).get("members")
    if not recorded:
        return
    hint = "copy the bundle again, whole"
    if not (folder / MEMBERS).is_file():
        what = f"{MEMBERS} is missing, which holds the members of the ensemble"
        raise BundleError(what, where=str(folder), hint=hint)
    stored = SafetensorsSource(folder / MEMBERS)
    every: list[dict[str, torch.Tensor]] = [{} for _ in range(int(recorded["count"]))]
    names = list(stored.shapes())
    for name in names:
        number, _, tensor = name.partition("/")
        if number.isdecimal() and int(number) < len(every):
            every[int(number)][tensor] = stored.tensor(name)
    if sum(map(len, every)) != recorded["tensors"] or len(names) != recorded["tensors"]:
        what = f"{MEMBERS} has {len(names)} tensors, and config.json names {recorded['tensors']}"
        raise BundleError(what, where=str(folder), hint=hint)
    try:
        add_members(model, every, float(recorded["alpha"]))
    except BundleError as error:
        error.where = error.where or str(folder / MEMBERS)
        raise


def _recorded(config: Mapping[str, Any], folder: Path) -> Adaptation:
    try:
        return Adaptation(**config["mammal"]["adaptation"])
    except (KeyError, TypeError) as error:
        raise BundleError("is an adapter bundle that does not name its base", where=str(folder / CONFIG)) from error


def _base_of(
    adaptation: Adaptation, folder: Path, named: str | os.PathLike[str] | None, *, check: bool = True
) -> ModelSource:
    """Finds the base and checks its hash."""
    beside = folder / adaptation.base
    place = named or (beside if beside.exists() else adaptation.base)
    try:
        source = locate(place)
    except BundleError as error:
        raise BundleError(
            f"is an adapter bundle, and its base is not at {place}",
            where=str(folder),
            hint=f"name the folder of the base: mammal.load(…, base=FOLDER); its weights have hash "
            f"{adaptation.base_hash}",
        ) from error
    if check and (found := weights_hash(source)) != adaptation.base_hash:
        raise BundleError(
            f"is an adapter bundle of another base than {place}",
            where=str(folder),
            hint=f"the base's weights have hash {adaptation.base_hash}, those there {found}",
        )
    return source

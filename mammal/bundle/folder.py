"""A bundle: a folder with a model and everything that is needed to use it. It is written completely or not at all.

    config.json         published keys, and one block `mammal` with the keys that only this package uses
    model.safetensors   the weights
    tokenizer/          in the published format
    task.yaml           declarations of its tasks and their fitted values: label scale, calibration, threshold
    probes.safetensors  arrays of the probes of its tasks, if there are any (`mammal train adapt=probe`)
    members.safetensors what members of an ensemble of fine-tuned models don't share, if there are any
                        (`mammal train adapt=lora adapt.ensemble=5`)
    training_rows.safetensors
                        what is kept of the training rows of its tasks, if anything (`mammal.tasks.applicability`)
    pretraining_rows.safetensors
                        filter of the rows that the model or its base was pretrained on, if that is known
                        (`mammal.tasks.pretraining`)
    metrics.json        every figure with split, seed and interval; length and hardware of the training
    losses.csv          validation losses by step, if there were any
    README.md           the model card

An adapter bundle has `adapters.safetensors` instead of the weights. This file contains only the weights that differ
from the base model, which `config.json` names with its hash.

Published folders contain the first three items, without the block `mammal`. They can be read, too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.bundle.adaptation import (
    Adaptation,
    check_joined,
    load_model,
    members_record,
    save_members,
    tokenizer_folder,
)
from mammal.bundle.card import Card, render_card
from mammal.bundle.lazy_tasks import LazyTasks, read_tasks
from mammal.bundle.locate import (
    CARD,
    CONFIG,
    DELTA,
    LOSSES,
    MEMBERS,
    METRICS,
    PRETRAINING_ROWS,
    PROBES,
    TASKS,
    TOKENIZER,
    TRAINING_ROWS,
    WEIGHTS,
    ModelSource,
    locate,
)
from mammal.bundle.pretraining import read_pretraining_rows
from mammal.bundle.stored_tasks import write_arrays, write_tasks
from mammal.errors import BundleError
from mammal.files import read_json
from mammal.tasks.pretraining.pretraining_rows import PretrainingRows
from mammal.tasks.tables.atomic import atomic_file, atomic_folder
from mammal.version import __version__

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

FORMAT = 5
"""Version of the bundle format. Bundles with a higher version are refused."""

_WITHOUT_SITES = 4
"""Version that is written for ensembles of fine-tuned members and for probes that store rows in the compact form, so
that earlier versions of this package can read the bundle.

They would read two states of a row for a probe that reads those at the site of a variant, or its description.
"""

_WITHOUT_MEMBERS = 3
"""Version that is written for ensembles of probes, so that earlier versions of this package can read the bundle.

They would answer a task of fine-tuned members by the heads of the model that the members share, and can't read probes
that store rows in the compact form (`adapt.max_bytes`).
"""

_WITHOUT_ENSEMBLES = 2
"""Version that is written for probes of one member, so that earlier versions of this package can read the bundle."""

_WITHOUT_PROBES = 1
"""Version that is written if no task has a probe, so that earlier versions of this package can read the bundle.

They would answer a task with a probe by heads that were not trained for it.
"""


@dataclass(frozen=True)
class Bundle:
    """The parts of a bundle.

    Attributes:
        model: the network, in evaluation mode.
        tokenizer: the tokenizer that it was trained with.
        source: where the bundle was read from.
        tasks: fitted tasks by name; each is built when it is first used. Empty for published folders.
        config: contents of `config.json`.
        metrics: contents of `metrics.json`. Empty if there is none.
        pretraining: filters of the rows that the model was pretrained on. Empty if that is unknown.
    """

    model: MammalModel
    tokenizer: Tokenizer
    source: ModelSource
    tasks: LazyTasks = field(default_factory=LazyTasks)
    config: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    pretraining: PretrainingRows = field(default_factory=PretrainingRows)


def save_bundle(
    folder: str | os.PathLike[str],
    model: MammalModel,
    tokenizer: Tokenizer,
    tasks: Sequence[Task] = (),
    metrics: Mapping[str, Any] | None = None,
    card: Card | None = None,
    *,
    dtype: str = "float32",
    adaptation: Adaptation | None = None,
    delta: bool = False,
    losses: pd.DataFrame | None = None,
    data: Mapping[str, Any] | None = None,
    pretraining: PretrainingRows | None = None,
) -> Path:
    """Writes a bundle. A bundle that exists in the folder is replaced after the new one is complete.

    Args:
        folder: folder of the bundle.
        model: the network.
        tokenizer: the tokenizer that it was trained with.
        tasks: fitted tasks. The example in the model card uses the first one. Default: none.
        metrics: contents of `metrics.json`; the model card shows them. Default: none.
        card: facts for the model card. Default: an empty card.
        dtype: number format of the stored weights, `"float32"` or `"bfloat16"` (half the size, 3 significant digits).
        adaptation: how the model was fine-tuned, and from which base model. Default: it was not.
        delta: write only the weights that were trained, as an adapter bundle. This needs `adaptation`, which names the
            base model.
        losses: validation losses of the training: `step`, and a column for each task. Default: none.
        data: for each task, which rows it was trained on: `rows` of each part, `split`, `split_hash`, and `content`, a
            hash of the cells that the prompt reads. Default: not recorded.
        pretraining: filters of the rows that the model was pretrained on; those of the base of an adapter bundle stay
            in its base. Default: unknown.

    Returns:
        The folder of the bundle.

    Raises:
        BundleError: the folder contains something that is not a bundle, or can't be written.
    """
    from mammal.model.checkpoint import save_checkpoint
    from mammal.model.delta import save_delta

    folder = Path(folder).expanduser()
    _check_replaceable(folder)
    if dtype not in ("float32", "bfloat16"):
        raise BundleError(f"weights are stored as float32 or bfloat16, not {dtype}")
    about: dict[str, Any] = {
        "format": _format(model, tasks),
        "version": __version__,
        "tokenizer_hash": tokenizer.hash,
        "dtype": dtype,
        **members_record(model),
    }
    if adaptation is not None:
        about["adaptation"] = asdict(adaptation)
    if data:
        about["data"] = dict(data)
    if delta and adaptation is None:
        raise BundleError("an adapter bundle must name its base", where=str(folder))
    try:
        with atomic_folder(folder) as partial:
            (save_delta if delta else save_checkpoint)(model, partial, extra={"mammal": about})
            if dtype == "bfloat16":
                _store_bfloat16(partial / (DELTA if delta else WEIGHTS))
            if model.members:
                save_members(model, partial)
                if dtype == "bfloat16":
                    _store_bfloat16(partial / MEMBERS)
            tokenizer.save(partial / TOKENIZER)
            write_tasks(partial / TASKS, tasks, about["format"])
            write_arrays(partial / PROBES, {task.name: task.probes for task in tasks})
            write_arrays(partial / TRAINING_ROWS, {task.name: task.training_rows for task in tasks})
            if pretraining is not None and pretraining.filters:
                (partial / PRETRAINING_ROWS).write_bytes(pretraining.to_bytes())
            (partial / METRICS).write_text(json.dumps(dict(metrics or {}), indent=2) + "\n", encoding="utf-8")
            parameters = sum(weight.numel() for weight in model.parameters())
            text = render_card(
                card or Card(),
                folder=folder.name,
                tasks=tasks,
                metrics=metrics or {},
                parameters=parameters,
                losses=losses,
                members=len(model.members),
                pretraining=pretraining,
            )
            if losses is not None:
                losses.to_csv(partial / LOSSES, index=False, float_format="%.5g")
            (partial / CARD).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BundleError(f"can't be written: {error.strerror or error}", where=str(folder)) from error
    return folder


def read_bundle(
    source: str | os.PathLike[str],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    tokenizer: str | os.PathLike[str] | Tokenizer | None = None,
    base: str | os.PathLike[str] | None = None,
) -> Bundle:
    """Reads the parts of a bundle.

    Args:
        source: folder of a bundle, folder of a published model, a `.ckpt` file in such a folder, name of a bundle that
            is installed with the package, or a hub id (`owner/name`).
        device: device for the weights.
        dtype: number format of the weights. Default: float32.
        tokenizer: tokenizer, or its folder, for a model folder that contains none. Default: the one of the model.
        base: folder of the base model of an adapter bundle, if it was moved. Default: the path that the bundle records.

    Raises:
        BundleError: a part is missing or damaged, or the tokenizer or the base model belongs to another model.
        TokenizerError: the folder of the tokenizer is not valid.
    """
    found = locate(source)
    check_joined(found)
    own = _tokenizer(found, tokenizer, base)
    model, config = load_model(found, base=base, device=device, dtype=dtype)
    about = config.get("mammal") or {}
    if about.get("format", _WITHOUT_PROBES) > FORMAT:
        raise BundleError(
            f"was written by a newer version of mammal ({about.get('version')})",
            where=str(source),
            hint="upgrade mammal",
        )
    _check_tokenizer(own, model, about.get("tokenizer_hash"), found.folder)
    return Bundle(
        model=model,
        tokenizer=own,
        source=found,
        tasks=_tasks_of([found.folder, *found.others], own),
        config=config,
        metrics={k: v for folder in (found.folder, *found.others) for k, v in _read_metrics(folder / METRICS).items()},
        pretraining=read_pretraining_rows(found, base),
    )


def read_losses(folder: Path) -> pd.DataFrame | None:
    """The validation losses of a bundle: `step`, and a column for each task. None: it has none."""
    import pandas as pd

    file = folder / LOSSES
    return pd.read_csv(file) if file.is_file() else None


def _format(model: MammalModel, tasks: Sequence[Task]) -> int:
    """The lowest version of the format that has everything that answers depend on."""
    probes = [task.probes for task in tasks if task.probes is not None]
    if any(one.reads_variants for one in probes):
        return FORMAT
    if model.members or any(one.is_compact for one in probes):
        return _WITHOUT_SITES
    members = max((one.members for one in probes), default=0)
    return _WITHOUT_MEMBERS if members > 1 else _WITHOUT_ENSEMBLES if members else _WITHOUT_PROBES


def _check_replaceable(folder: Path) -> None:
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / CONFIG).is_file()):
        raise BundleError(
            "exists already and is not a bundle, so it is not replaced",
            where=str(folder),
            hint="choose another folder",
        )


def _store_bfloat16(file: Path) -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(file, framework="pt") as stored:
        metadata = stored.metadata()
        tensors = {name: stored.get_tensor(name).to(torch.bfloat16) for name in stored.keys()}  # noqa: SIM118
    with atomic_file(file) as partial:
        save_file(tensors, partial, metadata=metadata)


def _tasks_of(folders: Sequence[Path], tokenizer: Tokenizer) -> LazyTasks:
    """The tasks of one bundle, or of several heads."""
    tasks = LazyTasks()
    for folder in folders:
        tasks = tasks.joined(read_tasks(folder / TASKS, tokenizer))
    return tasks


def _read_metrics(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def _tokenizer(
    source: ModelSource,
    given: str | os.PathLike[str] | Tokenizer | None,
    base: str | os.PathLike[str] | None,
) -> Tokenizer:
    from mammal.tokenization import Tokenizer

    if isinstance(given, Tokenizer):
        return given
    if given is not None:
        return Tokenizer.load(os.fspath(given))
    own = tokenizer_folder(source, base)
    if not own.is_dir():
        raise BundleError(
            "lacks the folder tokenizer/",
            where=str(source.folder),
            hint="copy the folder that was published with the model, or name one: mammal.load(…, tokenizer=folder)",
        )
    return Tokenizer.load(own)


def _check_tokenizer(tokenizer: Tokenizer, model: MammalModel, expected: str | None, folder: Path) -> None:
    if expected is not None and tokenizer.hash != expected:
        raise BundleError(
            "the tokenizer is not the one this model was trained with",
            where=str(folder),
            hint="restore the tokenizer/ folder that came with the bundle",
        )
    ids = [*tokenizer.specials.values(), *(int(tokenizer.alphabet_ids(name)[-1]) for name in tokenizer.alphabets)]
    if max(ids) >= model.config.vocab_size:
        raise BundleError(
            f"the tokenizer has ids up to {max(ids)}, but the model has only {model.config.vocab_size} rows",
            where=str(folder),
            hint="the tokenizer belongs to another model",
        )

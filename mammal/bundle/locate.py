"""Finds a model: a folder, a `.ckpt` file, a bundle that is installed with the package, or a hub id."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mammal.errors import BundleError, did_you_mean

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer"
DELTA = "adapters.safetensors"  # in an adapter bundle, instead of WEIGHTS
TASKS, METRICS, CARD = "task.yaml", "metrics.json", "README.md"

_HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
_HUB_FILES = [
    CONFIG,
    WEIGHTS,
    DELTA,
    f"{TOKENIZER}/*",
    TASKS,
    METRICS,
    CARD,
]  # not last.ckpt, a file of 4.6 GB in repositories of fine-tuned models


@dataclass(frozen=True)
class ModelSource:
    """A model on disk.

    Attributes:
        folder: folder with `config.json`, `tokenizer/` and, in a bundle of this package, `task.yaml`.
        weights: the same folder if it contains `model.safetensors` or `adapters.safetensors`, else the `.ckpt` file.
    """

    folder: Path
    weights: Path


def locate(source: str | os.PathLike[str]) -> ModelSource:
    """Finds a model. For a hub id, huggingface_hub downloads the files once and caches them.

    Args:
        source: folder of a bundle, folder of a published model, a `.ckpt` file, name of a bundle that is installed with
            the package, or a hub id (`owner/name`).

    Raises:
        BundleError: there is no such folder, file or hub id, or a file of the model is missing.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return _checked(path)
    if path.is_file():
        if path.suffix == ".ckpt":
            return ModelSource(path.parent, path)
        raise BundleError(
            "is a file, not a bundle", where=str(source), hint="give the folder that holds config.json, or a .ckpt file"
        )
    if (folder := _shipped().get(str(source))) is not None:
        return _checked(folder)
    if _HUB_ID.fullmatch(str(source)):
        return _checked(_from_hub(str(source)))
    raise BundleError("there is no such folder, file or shipped bundle", where=str(source), hint=_nearest(str(source)))


def _checked(folder: Path) -> ModelSource:
    weights = DELTA if (folder / DELTA).is_file() else WEIGHTS
    missing = [name for name in (CONFIG, weights) if not (folder / name).is_file()]
    if not missing:
        return ModelSource(folder, folder)
    checkpoints = sorted(path.name for path in folder.glob("*.ckpt"))
    inner = sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))
    if checkpoints and CONFIG not in missing:
        hint = f"it contains {', '.join(checkpoints)}: give the path of one of them"
    elif inner:
        hint = f"it contains these bundles: {', '.join(inner[:5])}"
    else:
        hint = "a bundle is a folder with config.json, model.safetensors and tokenizer/"
    raise BundleError(f"is not a bundle: it lacks {' and '.join(missing)}", where=str(folder), hint=hint)


def _shipped() -> dict[str, Path]:
    """Bundles in the package `mammal.checkpoints`, by name."""
    root = Path(str(resources.files("mammal.checkpoints")))
    return {path.parent.name: path.parent for path in root.glob(f"*/{CONFIG}")}


def ships(folder: Path) -> bool:
    """Whether a bundle is one of the package's own, whose files are not to be changed."""
    return folder.resolve() in {own.resolve() for own in _shipped().values()}


def _nearest(name: str) -> str:
    shipped = _shipped()
    known = did_you_mean(name, shipped, noun="shipped bundle") if shipped else "no bundle ships with this installation"
    return f"{known}; a hub id has the form owner/name"


def _from_hub(repo_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(repo_id, allow_patterns=_HUB_FILES))
    except RepositoryNotFoundError as error:
        raise BundleError(
            "there is no such folder here, and no such model on the hub",
            where=repo_id,
            hint="check the spelling; a private model needs `hf auth login`",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise BundleError(
            "there is no such folder here, and the hub can't be reached for a copy",
            where=repo_id,
            hint="connect once so that it is cached, or copy the model's folder here and give its path",
        ) from error

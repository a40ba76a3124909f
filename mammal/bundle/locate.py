"""Finds a model: a folder, a `.ckpt` file, a bundle that is installed with the package, or a hub id.

Names of shipped heads can be joined: `esol+b3db` is one model with the tasks of both.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from mammal.bundle.hub import HUB_ID
from mammal.errors import BundleError, did_you_mean
from mammal.tokenization.errors import likely_names

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer"
DELTA = "adapters.safetensors"  # in an adapter bundle, instead of WEIGHTS
PROBES = "probes.safetensors"  # arrays of the probes that answer in place of heads, if there are any
MEMBERS = "members.safetensors"  # what members of an ensemble of fine-tuned models don't share, if there are any
TRAINING_ROWS = "training_rows.safetensors"  # what is kept of training rows, if anything
PRETRAINING_ROWS = "pretraining_rows.safetensors"  # filter of the rows that the model was pretrained on, if it is known
BUNDLE = "bundle"  # folder of a training run that holds what was trained
TASKS, METRICS, CARD = "task.yaml", "metrics.json", "README.md"
LOSSES = "losses.csv"  # validation losses by step
HEADS = "heads"  # folder of the package's checkpoints with one adapter bundle for each shipped head
JOINS = "+"  # between names of shipped heads

HUB_FILES = (
    CONFIG,
    WEIGHTS,
    DELTA,
    PROBES,
    MEMBERS,
    TRAINING_ROWS,
    PRETRAINING_ROWS,
    f"{TOKENIZER}/*",
    TASKS,
    METRICS,
    LOSSES,
    CARD,
    "LICENSE*",
    "NOTICE*",
)
"""Patterns of the files that are uploaded and downloaded. Not last.ckpt, a file of 4.6 GB in repositories of fine-tuned
models."""


@dataclass(frozen=True)
class ModelSource:
    """A model on disk.

    Attributes:
        folder: folder with `config.json`, `tokenizer/` and, in a bundle of this package, `task.yaml`.
        weights: the same folder if it contains `model.safetensors` or `adapters.safetensors`, else the `.ckpt` file.
        others: folders of further shipped heads, whose tasks are read with those of `folder`.
    """

    folder: Path
    weights: Path
    others: tuple[Path, ...] = ()


def locate(source: str | os.PathLike[str]) -> ModelSource:
    """Finds a model. For a hub id, huggingface_hub downloads the files once and caches them.

    Args:
        source: folder of a bundle, folder of a published model, a `.ckpt` file, name of a bundle that is installed with
            the package, names of shipped heads joined by `+`, or a hub id (`owner/name`).

    The folder of a training run stands for the bundle in it.

    Raises:
        BundleError: there is no such folder, file or hub id, or a file of the model is missing.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        of_run = path / BUNDLE
        is_run = not (path / CONFIG).is_file() and (of_run / CONFIG).is_file()
        return _checked(of_run if is_run else path)
    if path.is_file():
        if path.suffix == ".ckpt":
            return ModelSource(path.parent, path)
        raise BundleError(
            "is a file, not a bundle", where=str(source), hint="give the folder that holds config.json, or a .ckpt file"
        )
    if (folder := (shipped() | shipped_heads()).get(str(source))) is not None:
        return _checked(folder)
    if JOINS in str(source) and len(Path(source).parts) == 1:
        return _joined(str(source))
    if HUB_ID.fullmatch(str(source)):
        return _checked(_from_hub(str(source)))
    raise BundleError("there is no such folder, file or shipped bundle", where=str(source), hint=_nearest(str(source)))


def _checked(folder: Path) -> ModelSource:
    weights = DELTA if (folder / DELTA).is_file() else WEIGHTS
    missing = [name for name in (CONFIG, weights) if not (folder / name).is_file()]
    if not missing:
        return ModelSource(folder, folder)
    checkpoints = sorted(path.name for path in folder.glob("*.ckpt"))
    found = (path for depth in ("*", "*/*") for path in islice(folder.glob(f"{depth}/{CONFIG}"), 100))
    inner = sorted(path.parent.relative_to(folder).as_posix() for path in found)
    if checkpoints and CONFIG not in missing:
        hint = f"it contains {', '.join(checkpoints)}: give the path of one of them"
    elif inner:
        hint = f"it contains these bundles: {', '.join(inner[:5])}"
    else:
        hint = "a bundle is a folder with config.json, model.safetensors and tokenizer/"
    raise BundleError(f"is not a bundle: it lacks {' and '.join(missing)}", where=str(folder), hint=hint)


def _joined(names: str) -> ModelSource:
    """Several shipped heads as one model."""
    folders, heads = [], shipped_heads()
    for name in dict.fromkeys(names.split(JOINS)):
        if (folder := heads.get(name)) is None:
            known = did_you_mean(name, heads, noun="shipped head") if heads else "no head ships with this installation"
            raise BundleError(f"there is no shipped head {name!r}", where=names, hint=known)
        folders.append(_checked(folder).folder)
    return ModelSource(folders[0], folders[0], tuple(folders[1:]))


def checkpoints_folder() -> Path:
    """Folder of the package with its own bundles, and with its heads in `heads/`."""
    found = find_spec("mammal.checkpoints")  # importlib.resources takes 8 ms to import
    assert found is not None and found.submodule_search_locations, "the folder is installed with the package"
    return Path(next(iter(found.submodule_search_locations)))


def shipped() -> dict[str, Path]:
    """Returns the folders of the bundles in the package `mammal.checkpoints`, by name; without heads."""
    return {path.parent.name: path.parent for path in checkpoints_folder().glob(f"*/{CONFIG}")}


def shipped_heads() -> dict[str, Path]:
    """Folders of the heads that are installed with the package, by the name of their task, in alphabetical order."""
    found = sorted((checkpoints_folder() / HEADS).glob(f"*/{CONFIG}"))
    return {path.parent.name: path.parent for path in found}


def shipped_name(folder: Path) -> str | None:
    """The name under which a bundle is installed with the package; None: it is not.

    Args:
        folder: folder of the bundle.
    """
    every = shipped() | shipped_heads()
    return next((name for name, own in every.items() if own.resolve() == folder.resolve()), None)


def ships(folder: Path) -> bool:
    """Whether a bundle is one of the package's own, whose files are not to be changed."""
    return shipped_name(folder) is not None


def _nearest(name: str) -> str | None:
    if len(Path(name).parts) > 1 or Path(name).suffix == ".ckpt":
        return _likely(name)
    known = shipped() | shipped_heads()
    if (likely := _likely(name)) is not None and not likely_names(name, known):
        return likely
    near = did_you_mean(name, known, noun="shipped bundle") if known else "no bundle ships with this installation"
    return f"{near}; a hub id has the form owner/name"


def _likely(name: str) -> str | None:
    """Folders and checkpoints that a path with a slip may mean; None if no name next to it is similar."""
    path = Path(name).expanduser()
    if not path.parent.is_dir():
        return None if path.parent == path else f"there is no folder {path.parent}"
    wanted = islice(path.parent.iterdir(), 1000)
    names = [file.name for file in wanted if file.is_dir() or file.suffix == ".ckpt"]
    return likely_names(path.name, names)


def _from_hub(repo_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(repo_id, allow_patterns=list(HUB_FILES)))
    except RepositoryNotFoundError as error:
        hint = "check the spelling; a private model needs `hf auth login`"
        raise BundleError(
            "there is no such folder here, and no such model on the hub", where=repo_id, hint=_here(repo_id) or hint
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        hint = "connect once so that it is cached, or copy the model's folder here and give its path"
        raise BundleError(
            "there is no such folder here, and the hub can't be reached for a copy",
            where=repo_id,
            hint=_here(repo_id) or hint,
        ) from error


def _here(name: str) -> str | None:
    """What a name that reads like a hub id may mean in a folder that is here."""
    return _likely(name) if Path(name).parent.is_dir() else None

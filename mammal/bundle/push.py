"""Uploads a bundle to a repository of the Hugging Face hub. `mammal.load("owner/name")` then opens it anywhere.

All files go into one commit, so that the repository never holds a part of a bundle. Files of an earlier bundle that the
new one does not have are deleted in the same commit.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.bundle.card import with_address
from mammal.bundle.hub import HUB_ID, check_hub_id, hub_errors
from mammal.bundle.locate import CARD, CONFIG, DELTA, HUB_FILES, PROBES, TOKENIZER, TRAINING_ROWS, WEIGHTS, locate
from mammal.errors import BundleError, ConfigError
from mammal.files import read_json
from mammal.version import __version__

if TYPE_CHECKING:
    from huggingface_hub import HfApi

logger = logging.getLogger(__name__)

MAIN = "main"
"""Branch that `mammal.load` reads."""


@dataclass(frozen=True)
class Pushed:
    """An uploaded bundle.

    Attributes:
        repo: the repository, `owner/name`.
        revision: branch that it was uploaded to.
        url: address of the commit.
        files: names of its files in the repository.
    """

    repo: str
    revision: str
    url: str
    files: list[str]


def push_to_hub(
    bundle: str | os.PathLike[str],
    repo: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    message: str | None = None,
    base: str | None = None,
    rows: bool = False,
    token: str | None = None,
) -> Pushed:
    """Uploads a bundle to the Hugging Face hub, or to the server that the variable HF_ENDPOINT names.

    Only files of a bundle are uploaded, and licence files (`LICENSE*`, `NOTICE*`). The model card gets the address of
    the repository in its examples. The folder does not change.

    Args:
        bundle: folder of a bundle or of a training run, or the name of a bundle that is installed with the package.
        repo: repository, `owner/name`. It is made if it does not exist.
        private: True: only you and your organisation can read the repository. An existing public repository is then
            refused. False: a new repository is public. Default: as the hub makes new repositories for this owner.
        revision: branch to upload to. It is made if it does not exist. Default: the main branch.
        message: message of the commit. Default: one that names the version of this package.
        base: repository of the base model, for a bundle that was fine-tuned from a model in a folder. Its weights must
            be those of that folder. Default: the base that the bundle records.
        rows: upload a bundle although it contains inputs and labels of training rows (`applicability=full`).
        token: token of the hub with write access. Default: the one that huggingface_hub finds (`hf auth login`,
            HF_TOKEN). It is never logged.

    Returns:
        Where the bundle is, and which files were uploaded.

    Raises:
        ConfigError: a name of a repository is wrong, there is no token, the bundle contains training rows, its base is
            a folder of this machine, or a public repository exists although `private` is True.
        BundleError: there is no such bundle or a file of it is damaged, the base on the hub has other weights, or the
            hub can't be reached or refuses the upload.
    """
    folder = _bundle(bundle)
    check_hub_id(repo, "repo")
    _check_weights(folder)
    _check_rows(folder, rows)
    config = read_json(folder / CONFIG)
    changed = _with_base(config, folder, base)
    contents: dict[str, Path | bytes] = {name: folder / name for name in bundle_files(folder)}
    if changed is not config:
        contents[CONFIG] = (json.dumps(changed, indent=2) + "\n").encode()
    if CARD in contents:
        contents[CARD] = with_address(_card(folder / CARD), repo).encode()
    else:
        logger.warning("%s has no model card (README.md)", folder)
    api, branch = _api(token), revision or MAIN
    with hub_errors(base or repo, api.endpoint):
        if base is not None:
            _check_base(api, base, config, folder)
    with hub_errors(repo, api.endpoint):
        _prepare(api, repo, private, branch)
        url = _commit(api, repo, contents, branch, message or f"Upload a bundle of mammal {__version__}")
    return Pushed(repo, branch, url, sorted(contents))


def bundle_files(folder: Path) -> list[str]:
    """Returns the names of the files of a bundle that are uploaded and downloaded, sorted.

    Other files in its folder, such as checkpoints to resume from, are left out.

    Args:
        folder: folder of the bundle.

    Raises:
        BundleError: a file is a link to a file that does not exist.
    """
    found = {path for pattern in HUB_FILES for path in folder.glob(pattern)}  # also in a folder that is a link
    for path in folder.iterdir():
        if path.is_symlink() and not path.exists() and _is_of_bundle(path.name):
            raise BundleError("is a link to a file that does not exist", where=str(path), hint="restore or remove it")
    return sorted(path.relative_to(folder).as_posix() for path in found if path.is_file())


def _is_of_bundle(name: str) -> bool:
    return any(fnmatch(name, pattern) and name.count("/") == pattern.count("/") for pattern in HUB_FILES)


def _bundle(bundle: str | os.PathLike[str]) -> Path:
    source = locate(bundle)
    if source.weights.is_file():
        what = "is a checkpoint, and bundles are pushed as folders with model.safetensors"
        hint = f'mammal.load("{bundle}").save(FOLDER) writes such a folder'
        raise BundleError(what, where=str(bundle), hint=hint)
    if not (source.folder / TOKENIZER).is_dir():
        hint = "copy the folder that was published with the model"
        raise BundleError("is not a bundle: it lacks tokenizer/", where=str(source.folder), hint=hint)
    return source.folder


def _card(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BundleError("the model card is not UTF-8 text", where=str(file), hint="save it as UTF-8") from error


def _check_weights(folder: Path) -> None:
    """Refuses weights that are damaged or copied in part: the header of the file states its size."""
    from safetensors import SafetensorError, safe_open

    for file in (folder / WEIGHTS, folder / DELTA):
        if file.is_file():
            try:
                with safe_open(file, framework="np"):
                    pass
            except SafetensorError as error:
                hint = "copy the bundle again"
                raise BundleError(f"is not a valid safetensors file: {error}", where=str(file), hint=hint) from error


def _check_rows(folder: Path, allowed: bool) -> None:
    """Refuses inputs and labels of training rows, and reports what else is kept of training rows."""
    from safetensors import SafetensorError, safe_open

    from mammal.tasks.applicability.training_rows import TEXTS

    file = folder / TRAINING_ROWS
    if (folder / PROBES).is_file():
        logger.info("%s can hold states of training rows, without texts and labels", PROBES)
    if not file.is_file():
        return
    try:
        with safe_open(file, framework="np") as stored:
            full = sorted(name.rpartition("/")[0] for name in stored.keys() if name.endswith(f"/{TEXTS}"))  # noqa: SIM118
    except SafetensorError as error:
        raise BundleError("is not a valid safetensors file", where=str(file)) from error
    if not full:
        logger.info("%s holds fingerprints or states of training rows, without texts and labels", TRAINING_ROWS)
    elif not allowed:
        hint = "rows=true uploads them; or train with applicability=distances, which keeps neither inputs nor labels"
        what = f"the bundle contains inputs and labels of training rows ({', '.join(full)}), which would be uploaded"
        raise ConfigError(what, where=str(file), hint=hint)
    else:
        logger.warning("inputs and labels of training rows are uploaded (%s)", ", ".join(full))


def _with_base(config: Mapping[str, Any], folder: Path, base: str | None) -> Mapping[str, Any]:
    """The contents of `config.json` with the base model as others can load it."""
    own = config.get("mammal") or {}
    made = own.get("adaptation")
    if base is not None:
        check_hub_id(base, "base")
        if not made:
            raise ConfigError("the bundle records no base model", where=str(folder), hint="leave out base=")
        return {**config, "mammal": {**own, "adaptation": {**made, "base": base}}}
    if made and (folder / DELTA).is_file() and _is_here_only(made["base"], folder):
        what = f"the bundle holds adapters only, and its base model is a folder of this machine: {made['base']}"
        first = f"mammal push bundle={_shown(folder, made['base'])} repo=OWNER/BASE"
        hint = f"push the base first ({first}), then give base=OWNER/BASE; or train with adapt.save=merged"
        raise ConfigError(what, where=str(folder), hint=hint)
    return config


def _is_here_only(base: str, folder: Path) -> bool:
    """Whether a base is a path, and neither a hub id nor the name of a bundle that is installed with the package."""
    from mammal.bundle.locate import shipped

    return base not in shipped() and ((folder / base).exists() or HUB_ID.fullmatch(base) is None)


def _shown(folder: Path, base: str) -> str:
    found = (folder / base).resolve()
    return os.path.relpath(found) if found.exists() else "FOLDER_OF_THE_BASE"


def _check_base(api: HfApi, base: str, config: Mapping[str, Any], folder: Path) -> None:
    """Checks that the base on the hub has the weights of the base that is here, if it is here."""
    from mammal.bundle.adaptation import weights_hash

    made = config["mammal"]["adaptation"]
    here = folder / made["base"]
    [*stored] = api.get_paths_info(base, [WEIGHTS])
    if not stored:
        hint = "push the base model first, then give its repository as base="
        raise BundleError(f"has no {WEIGHTS}", where=base, hint=hint)
    sha256 = getattr(getattr(stored[0], "lfs", None), "sha256", None)
    if sha256 is None or not (here / WEIGHTS).is_file() or weights_hash(locate(here)) != made["base_hash"]:
        logger.info("the weights of %s were not compared with the base of the bundle", base)
    elif sha256 != _sha256(here / WEIGHTS):
        hint = f"push the base model from {_shown(folder, made['base'])}, or name its repository"
        raise BundleError("has other weights than the base of the bundle", where=base, hint=hint)


def _sha256(file: Path) -> str:
    import hashlib

    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _api(token: str | None) -> HfApi:
    from huggingface_hub import HfApi, get_token

    found = token or get_token()
    if not found:
        hint = "`hf auth login` stores a token with write access; or set HF_TOKEN"
        raise ConfigError("there is no token for the hub", where="mammal push", hint=hint)
    return HfApi(token=found, library_name="mammal", library_version=__version__)


def _prepare(api: HfApi, repo: str, private: bool | None, branch: str) -> None:
    """Makes the repository and the branch if they do not exist."""
    api.create_repo(repo, private=private, exist_ok=True)
    if private and not api.repo_info(repo).private:  # `private` has no effect on a repository that exists
        hint = "make it private in its settings on the hub, choose another name, or leave out private="
        raise ConfigError("the repository exists and is public", where=repo, hint=f"{hint}; nothing was uploaded")
    if branch != MAIN:
        api.create_branch(repo, branch=branch, exist_ok=True)


def _commit(api: HfApi, repo: str, contents: Mapping[str, Path | bytes], revision: str, message: str) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    added = [CommitOperationAdd(name, content) for name, content in contents.items()]
    there = api.list_repo_files(repo, revision=revision)
    stale = [name for name in there if _is_of_bundle(name) and name not in contents]
    removed = [CommitOperationDelete(name) for name in stale]
    return api.create_commit(repo, [*added, *removed], commit_message=message, revision=revision).commit_url

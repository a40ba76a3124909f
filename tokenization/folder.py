"""A tokenizer on disk, in the published layout: `config.yaml` and a JSON file for each alphabet.

`config.yaml` lists the alphabets in order (`tokenizers_info`) and the two limits of the id space. Only the last part of
a file's path is used: the files are always in the same folder as `config.yaml`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from mammal.tokenization.alphabet_file import AlphabetFile
from mammal.tokenization.errors import TokenizerError
from mammal.tokenization.numbering import Limits, check_ids

CONFIG = "config.yaml"
_LIMITS = ("max_possible_token_id", "max_special_token_id")


def find_folder(source: str | Path | None) -> Path:
    """Finds the folder of a tokenizer.

    Args:
        source: the folder itself, a bundle that contains it, or a hub id; None: the vocabulary of this package.

    Raises:
        TokenizerError: the folder does not exist, neither on this machine nor on the hub.
    """
    if source is None:
        return Path(str(files("mammal.tokenization.vocabulary")))
    folder = Path(source).expanduser()
    if (folder / CONFIG).is_file():
        return folder
    if (folder / "tokenizer" / CONFIG).is_file():
        return folder / "tokenizer"
    if folder.exists():
        raise TokenizerError(f"the folder holds no tokenizer: no {CONFIG}, no tokenizer/{CONFIG}", where=str(source))
    return _download(str(source))


def read_folder(folder: Path) -> tuple[list[AlphabetFile], Limits]:
    """Reads and checks the folder of a tokenizer.

    Args:
        folder: contains `config.yaml`.

    Raises:
        TokenizerError: a file is missing or malformed, or two tokens have the same id.
    """
    config = _read_config(folder / CONFIG)
    try:
        entries = [(entry["name"], entry) for entry in config["tokenizers_info"]]
        paths = [entry.get("modular_json_path") or entry["json_path"] for _, entry in entries]
    except (KeyError, TypeError) as error:
        raise TokenizerError(f"the list of alphabets is malformed: {error!r}", where=str(folder / CONFIG)) from None
    alphabets = [
        AlphabetFile.read(folder / Path(path).name, name, entry)
        for (name, entry), path in zip(entries, paths, strict=True)
    ]
    limits = Limits(*(config.get(key) for key in _LIMITS))
    try:
        check_ids(alphabets, limits)
    except TokenizerError as error:
        raise TokenizerError(error.what, where=str(folder), hint=error.hint) from None
    return alphabets, limits


def write_folder(folder: Path, alphabets: Sequence[AlphabetFile], limits: Limits) -> None:
    """Writes the folder of a tokenizer; the folder is created if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for alphabet in alphabets:
        name = alphabet.file_name
        (folder / name).write_text(alphabet.to_json(), encoding="utf-8")
        entries.append(alphabet.entry | {"json_path": f"./{name}", "modular_json_path": f"./{name}"})
    config = {"tokenizers_info": entries} | dict(zip(_LIMITS, (limits.any_token, limits.special), strict=True))
    (folder / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TokenizerError("the file is missing", where=str(path)) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise TokenizerError(f"not a YAML file: {error}", where=str(path)) from None
    if not isinstance(config, dict):
        raise TokenizerError("not a tokenizer configuration", where=str(path))
    return config


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(repo_id=hub_id, allow_patterns="tokenizer/*")) / "tokenizer"
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise TokenizerError(f"neither a folder nor a hub id: {error}", where=hub_id) from None

"""`source: hub`: a file of a data set on the Hugging Face Hub. `name` is `owner/repository`; `path` (or `files`) names
the file or files in it. The hub's client caches the files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sources.file import load_parts, read_declared

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """The rows of the named file, or of one file for each part of the split.

    Raises:
        TaskError: the repository or the file is not named.
        DataError: huggingface_hub is not installed, or the file can't be downloaded or read.
    """
    if not data.name or not (data.path or data.files):
        raise TaskError("source hub needs data.name (owner/repository) and data.path or data.files")
    if data.path:
        return read_declared(_download(data.name, data.path), data.limit, data.encoding)
    return load_parts(
        {part: _download(data.name, path) for part, path in data.files.items()}, data.limit, data.encoding
    )


def _download(repository: str, path: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise DataError("the package huggingface_hub is not installed", hint="pip install huggingface_hub") from error
    try:
        return Path(hf_hub_download(repository, path, repo_type="dataset"))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise DataError(f"can't get {path}: {error}", where=repository) from error

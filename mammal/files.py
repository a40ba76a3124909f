"""Small files that bundles and jobs are made of: read as JSON, or named by their content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mammal.errors import BundleError


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in a file of a bundle.

    Raises:
        BundleError: it is no JSON, or something other than an object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"is not valid JSON: {error}", where=str(file)) from error
    if not isinstance(content, dict):
        raise BundleError("must hold one JSON object", where=str(file))
    return content


def file_hash(path: Path) -> str:
    """Content hash of one file. blake2b: faster than reading from most disks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()

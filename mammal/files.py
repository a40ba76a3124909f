"""Reads small JSON files of bundles, and computes content hashes of files."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from mammal.errors import BundleError


def read_json(file: Path) -> dict[str, Any]:
    """Reads the JSON object in a file of a bundle.

    Raises:
        BundleError: the file is not valid JSON, or contains something else than an object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"is not valid JSON: {error}", where=str(file)) from error
    if not isinstance(content, dict):
        raise BundleError("must hold one JSON object", where=str(file))
    return content


def finite(node: Any) -> Any:
    """A value for JSON with NaN and infinity as null, so that the file is valid everywhere."""
    if isinstance(node, dict):
        return {key: finite(child) for key, child in node.items()}
    if isinstance(node, list):
        return [finite(child) for child in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


def file_hash(path: Path) -> str:
    """Returns the content hash of a file: blake2b, which is faster than reading from most disks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()

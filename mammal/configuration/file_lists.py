"""Lists of files on the command line: `input=[a.csv,b.csv]`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

LIST_OF_FILES = dict.fromkeys(("predict", "embed", "generate", "score", "properties", "names"), ("input",))
"""Verb -> keys whose value can be a list of files."""


def quoted_list(verb: str, override: str, text_override: Callable[[str, str], str]) -> str | None:
    """Quotes each file of a list, so that Hydra does not interpret signs of paths.

    Args:
        verb: the verb.
        override: word of the command line, such as `input=[a.csv,b.csv]`.
        text_override: function that returns the override that sets a key to a text.

    Returns:
        The override; None: it is not a list of files.
    """
    key, _, value = override.partition("=")
    if key not in LIST_OF_FILES.get(verb, ()) or not (value.startswith("[") and value.endswith("]")):
        return None
    if Path(value).exists():
        return None
    if "'" in value or '"' in value:
        return override  # the user quotes the files
    items = [item.strip() for item in value[1:-1].split(",")]
    if not all(set(item) & set("./*") for item in items):
        return None  # a name in brackets
    return f"{key}=[{','.join(text_override('', item).removeprefix('=') for item in items)}]"

"""Names of task files that every reader takes: Hydra (`task=NAME`), YAML, and `mammal tasks NAME`."""

from __future__ import annotations

import re
import unicodedata

from mammal.errors import ConfigError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = {"nan", "inf", "infinity", "null", "none", "true", "false", "yes", "no", "on", "off", "y", "n", "schema"}
"""Words that Hydra or YAML read as something other than text, and the name of the schema of tasks."""


def name_from(text: str) -> str:
    """A valid name made of any text: `2024` -> `task_2024`, `mélange brut` -> `melange_brut`, `nan` -> `task_nan`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lower()
    if not name:
        return "my_task"
    return name if is_valid(name) else f"task_{name}"


def is_valid(name: str) -> bool:
    """Whether `mammal train task=NAME` finds a task of this name."""
    return _NAME.fullmatch(name) is not None and name.lower() not in _RESERVED


def check_name(name: str, key: str) -> None:
    """Refuses a name that `task=NAME` could not find.

    Args:
        name: of a task, or of its file without `.yaml`.
        key: of the command that gave it.

    Raises:
        ConfigError: gives a valid name near it.
    """
    if not is_valid(name):
        what = f"{name!r} can't be the name of a task: it must be letters, digits and _, and no word such as nan"
        raise ConfigError(what, where=f"{key}={name}", hint=f"{key}={name_from(name)}")

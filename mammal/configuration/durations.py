"""Reads the time limit of a run from a configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mammal.errors import ConfigError


def duration(limit: Any) -> timedelta | None:
    """Reads `trainer.max_time`.

    Args:
        limit: `HH:MM:SS`, `DD:HH:MM:SS` or a number of seconds. None: no limit.

    Raises:
        ConfigError: the limit has another form.
    """
    if limit is None:
        return None
    parts = str(limit).split(":")
    if len(parts) not in (1, 3, 4) or not all(part.isdigit() for part in parts):
        raise ConfigError(f"trainer.max_time is {limit!r}", hint="HH:MM:SS, DD:HH:MM:SS or seconds")
    names = ("days", "hours", "minutes", "seconds")[-len(parts) :]
    return timedelta(**{name: int(part) for name, part in zip(names, parts, strict=True)})

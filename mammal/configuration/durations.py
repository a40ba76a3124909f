"""Reads the time limit of a run from a configuration."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from mammal.errors import ConfigError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WITH_UNIT = re.compile(r"(\d{1,6}(?:\.\d+)?)\s*([smhd])(?:ec|econds?|in|inutes?|ours?|ays?|rs?)?")


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
    if len(parts) not in (1, 3, 4) or not all(part.isdecimal() for part in parts):
        raise ConfigError(f"trainer.max_time is {limit!r}", hint=_hint(str(limit)))
    names = ("days", "hours", "minutes", "seconds")[-len(parts) :]
    try:
        return timedelta(**{name: int(part) for name, part in zip(names, parts, strict=True)})
    except OverflowError as error:
        raise ConfigError(f"trainer.max_time is {limit!r}", hint=f"at most {timedelta.max.days} days") from error


def _hint(text: str) -> str:
    """The valid forms, and how a time with a unit, such as `10m`, is written in one of them."""
    forms = "HH:MM:SS, DD:HH:MM:SS or seconds"
    match = _WITH_UNIT.fullmatch(text.strip().lower())
    if match is None:
        return forms
    minutes, seconds = divmod(round(float(match[1]) * _SECONDS[match[2]]), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{forms}; {text} is written {hours:02d}:{minutes:02d}:{seconds:02d}"

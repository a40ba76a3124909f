"""Settings as users give them: read as plain numbers and text, and refused where they would change nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from mammal.errors import ConfigError
from mammal.tasks.declaration.generation_settings import SETTINGS, of_way

if TYPE_CHECKING:
    from mammal.decoding.config import GenerationConfig

OF_DRAWS = of_way("sampling")
"""Settings that mean that sequences are drawn."""
_OF_BEAMS = of_way("beams")
_TYPES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def typed(given: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with NumPy's numbers as Python's; a whole number is a number, too.

    Args:
        kinds: setting -> its type, or that type and None; any other type is not looked at.

    Raises:
        ConfigError: a value of another type.
    """
    found = {name: plain_value(value) for name, value in given.items()}
    for name, value in found.items():
        wanted, *others = get_args(kinds[name]) or (kinds[name],)
        fits = type(value) in (int, float) if wanted is float else type(value) is wanted
        if len(others) < 2 and not fits:
            raise ConfigError(f"{name} must be {_TYPES[wanted]}, not {value!r}")
    return found


def plain_value(value: Any) -> Any:
    """A NumPy or torch scalar as Python's own; anything else as it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def in_force(given: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Those of the settings that are given, and not to say that they do nothing."""
    return [name for name in names if name in given and given[name] != SETTINGS[name].use.off]


def check_used(given: Mapping[str, Any], config: GenerationConfig) -> None:
    """Refuses settings that the way of decoding, which they don't decide, passes over.

    Raises:
        ConfigError: names one, and what it needs.
    """
    if not config.do_sample and (idle := in_force(given, OF_DRAWS)):
        raise ConfigError(f"{idle[0]} is a setting of draws, and do_sample is false", hint="leave one of them out")
    if config.num_beams == 1 and (idle := in_force(given, _OF_BEAMS)):
        raise ConfigError(f"{idle[0]} is a setting of beams, and there are none", hint="num_beams=5, say")

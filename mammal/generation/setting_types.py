"""Reads the settings of users as plain numbers and text, and refuses settings that would have no effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from mammal.errors import ConfigError
from mammal.tasks.declaration.generation_settings import SETTINGS, of_way

if TYPE_CHECKING:
    from mammal.decoding.config import GenerationConfig

OF_DRAWS = of_way("sampling")
"""Settings of sampling. Giving one of them means that sequences are sampled."""
_OF_BEAMS = of_way("beams")
_TYPES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def typed(given: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the types of settings and converts NumPy numbers to Python numbers.

    A whole number is also accepted if a number is required.

    Args:
        given: settings by name.
        kinds: for each setting its type, or that type and None. Settings with other types are not checked.

    Raises:
        ConfigError: a value has another type.
    """
    found = {name: plain_value(value) for name, value in given.items()}
    for name, value in found.items():
        wanted, *others = get_args(kinds[name]) or (kinds[name],)
        fits = type(value) in (int, float) if wanted is float else type(value) is wanted
        if len(others) < 2 and not fits:
            raise ConfigError(f"{name} must be {_TYPES[wanted]}, not {value!r}")
    return found


def plain_value(value: Any) -> Any:
    """Converts a NumPy or torch scalar to a Python scalar. Other values are returned unchanged."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def in_force(given: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Returns those of `names` that are given with a value that has an effect.

    Args:
        given: settings by name.
        names: names of settings.
    """
    return [name for name in names if name in given and given[name] != SETTINGS[name].use.off]


def check_used(given: Mapping[str, Any], config: GenerationConfig) -> None:
    """Refuses settings that have no effect with the chosen way of decoding.

    Args:
        given: settings by name.
        config: the resulting settings of decoding.

    Raises:
        ConfigError: there is such a setting. The message contains what it needs.
    """
    if not config.do_sample and (idle := in_force(given, OF_DRAWS)):
        raise ConfigError(f"{idle[0]} is a setting of sampling, but do_sample is false", hint="leave one of them out")
    if config.num_beams == 1 and (idle := in_force(given, _OF_BEAMS)):
        raise ConfigError(f"{idle[0]} is a setting of beam search, but num_beams is 1", hint="for example num_beams=5")

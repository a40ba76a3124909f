"""Settings under the names that other libraries give them: accepted if they mean the same, else refused with ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammal.errors import ConfigError
from mammal.generation.setting_types import plain_value

SAME = {
    "num_return_sequences": "n",
    "num_samples": "n",
    "num_sequences": "n",
}
"""Name elsewhere -> ours, of the same meaning."""

DIFFERENT = {
    "max_length": ("use max_new_tokens=", "max_length counts the prompt, too"),
    "min_length": ("use min_new_tokens=", "min_length counts the prompt, too"),
    "batch_size": ("use batch_tokens=", "batches are cut by tokens: model.pace from Python, batch_tokens= elsewhere"),
    "random_state": ("use seed=", None),
    "random_seed": ("use seed=", None),
    "beam_size": ("use num_beams=", None),
    "sample": ("use do_sample=", None),
    "stop_strings": ("use stop=", None),
    "prefix_text": ("use starts_with=", None),
}
"""Name elsewhere -> what to use here, and why it is not taken for the same."""


def our_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings under our names.

    Args:
        given: settings as a caller names them.

    Raises:
        ConfigError: a name of another library whose meaning differs, or two names for one setting with different
            values.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in DIFFERENT:
            use, why = DIFFERENT[name]
            raise ConfigError(f"there is no setting {name!r} here", hint=f"{use}; {why}" if why else use)
        ours = SAME.get(name, name)
        if ours in found and plain_value(found[ours]) != plain_value(value) and value is not None:
            raise ConfigError(f"{ours} is given twice: {found[ours]!r} and {value!r}", hint=f"use {ours}= only")
        if value is not None or ours not in found:
            found[ours] = value
    return found


def without_zero_temperature(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in which a temperature of 0 has become what it means: the likeliest token at every step.

    Args:
        given: settings under our names; None for those that are not given.

    Raises:
        ConfigError: sampling, or several sequences without beams, are requested with it.
    """
    temperature = plain_value(given.get("temperature"))
    if type(temperature) not in (int, float) or temperature != 0:
        return dict(given)
    if plain_value(given.get("consensus")):
        what = f"temperature=0 takes the likeliest token, and consensus={given['consensus']} compares samples"
        raise ConfigError(what, hint="leave one of them out")
    if given.get("do_sample"):
        raise ConfigError(
            "temperature=0 takes the likeliest token, and do_sample is true", hint="leave one of them out"
        )
    beams = plain_value(given.get("num_beams")) or 1
    n = plain_value(given.get("n")) or 1
    if isinstance(n, int) and isinstance(beams, int) and n > 1 and beams == 1:
        what = f"temperature=0 takes the likeliest token, which gives one sequence, and n is {n}"
        raise ConfigError(what, hint=f"num_beams={n} for the {n} likeliest, or a temperature above 0")
    return {name: value for name, value in given.items() if name != "temperature"} | {"do_sample": False}

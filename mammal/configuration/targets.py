"""The keys of a section with a `_target_`: the parameters of that class or function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints

from mammal.configuration.known_keys import TRAINER_IS_GIVEN

HYDRA_KEYS = ("_target_", "_args_", "_recursive_", "_convert_", "_partial_")
"""Keys that `hydra.utils.instantiate` reads."""

_OWN = "mammal."
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def target_keys(name: str, given: int = 0) -> dict[str, Any] | None:
    """Returns the keys that a section with `_target_: name` can have, with their types.

    Args:
        name: dotted name of a class or function.
        given: number of its first parameters that the caller passes, which the section can't have.

    Returns:
        The type of each key; `Any` for classes of other libraries, whose annotations may be wrong. None if the keys
        are unknown: the target takes `**kwargs`, has no signature, or can't be imported (which raises an error later,
        when the object is made).
    """
    target = _imported(name)
    if target is None:
        return None
    try:
        parameters = list(inspect.signature(target).parameters.values())[given:]
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    hints = _hints(target) if name.startswith(_OWN) else {}
    own = {parameter.name: hints.get(parameter.name, Any) for parameter in parameters if parameter.kind in _BY_NAME}
    return own | dict.fromkeys(HYDRA_KEYS, Any)


@cache
def trainer_keys() -> dict[str, Any]:
    """Returns the arguments of `lightning.Trainer` that the group `trainer` can have, with their types."""
    import lightning.pytorch as lightning

    hints = _hints(lightning.Trainer)
    names = [name for name in inspect.signature(lightning.Trainer).parameters if name not in TRAINER_IS_GIVEN]
    return {name: hints.get(name, Any) for name in names}


def _imported(name: str) -> Callable[..., Any] | None:
    from hydra.utils import get_object

    try:
        found = get_object(name)
    except Exception:  # a user's module can raise anything; `instantiated` reports it when the section is used
        return None
    return found if callable(found) else None


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(vars(target)["__init__"] if isinstance(target, type) else target)
    except (NameError, TypeError, KeyError):  # an annotation only for type checkers, or an inherited __init__
        return {}

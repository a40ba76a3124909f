"""Builds dataclasses from mappings whose values already have the declared types, without OmegaConf.

OmegaConf converts values and explains what is wrong with them, but takes 60 ms for one task. Nearly every declaration
needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_INTERPOLATION = "${"


class NotTyped(Exception):  # noqa: N818
    """A value does not have the declared type, or OmegaConf gives it a meaning."""


@cache
def hints_of(schema: type) -> dict[str, Any]:
    """The type of each field of a dataclass, in the order of its fields."""
    hints = get_type_hints(schema)
    return {field.name: hints[field.name] for field in fields(schema)}


def typed(declared: Mapping[str, Any], schema: type) -> Any:
    """Builds a dataclass; whole numbers become floats where a float is declared.

    Args:
        declared: names and values of fields.
        schema: the dataclass.

    Returns:
        What `OmegaConf.to_object` of the merged declaration returns.

    Raises:
        NotTyped: a value has another type, the text of an interpolation or a name that the dataclass lacks.
    """
    hints = hints_of(schema)
    if unknown := declared.keys() - hints.keys():
        raise NotTyped(unknown)
    return schema(**{name: _value(value, hints[name]) for name, value in declared.items()})


def _value(value: Any, hint: Any) -> Any:
    if hint is Any:
        return _plain(value)
    if is_dataclass(hint):
        if isinstance(value, Mapping) and isinstance(hint, type):
            return typed(value, hint)
        raise NotTyped(value)
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _one_of(value, get_args(hint))
    if origin is list and isinstance(value, list):
        return [_value(item, get_args(hint)[0]) for item in value]
    if origin is dict and isinstance(value, dict):
        of_key, of_value = get_args(hint)
        return {_value(key, of_key): _value(item, of_value) for key, item in value.items()}
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise NotTyped(value)
    return _plain(value)


def _one_of(value: Any, hints: tuple[Any, ...]) -> Any:
    others = [hint for hint in hints if hint is not NoneType]
    if value is None and len(others) < len(hints):
        return None
    if len(others) != 1:
        raise NotTyped(value)
    return _value(value, others[0])


def _plain(value: Any) -> Any:
    """A copy of a value that OmegaConf would leave as it is."""
    if isinstance(value, str):
        if _INTERPOLATION in value or value == "???":
            raise NotTyped(value)
    elif isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    elif isinstance(value, list):
        return [_plain(item) for item in value]
    elif not isinstance(value, bool | int | float | NoneType):
        raise NotTyped(value)
    return value


def _key(key: Any) -> Any:
    if not isinstance(key, str | int | float | bool):
        raise NotTyped(key)
    return key

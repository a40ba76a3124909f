"""Seeds of sampling: one for all rows, or one for each row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mammal.decoding.random_numbers import Draw
from mammal.errors import ConfigError, MammalError
from mammal.generation.setting_types import plain_value
from mammal.rows.batched import Refused, Row
from mammal.tasks.tables.cells import as_number, is_missing

_EXACT = 2**53
"""From this value on, different whole numbers can have the same float."""
_WHOLE = re.compile(r"\s*([+-]?[0-9]+)(\.0*)?\s*")


def seeds_of(seed: Any) -> int | list[int]:
    """Checks a seed, or the seeds of the rows.

    Args:
        seed: one whole number, or a list with one for each row. None: 0.

    Raises:
        ConfigError: a seed is not a whole number.
    """
    value = 0 if seed is None else plain_value(seed)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        seeds = [plain_value(each) for each in value]
        for number, each in enumerate(seeds, 1):
            if type(each) is not int:
                raise ConfigError(f"seed {number} of {len(seeds)} must be a whole number, not {each!r}", where="seed")
        return seeds
    if type(value) is not int:
        raise ConfigError(f"seed must be a whole number, or one for each row, not {seed!r}")
    return value


def own_seed(row: Row, column: str) -> Draw | Refused:
    """Returns the key of the random numbers for the seed of a row, or the reason why the cell is not a seed.

    Args:
        row: the row.
        column: column of seeds.
    """
    value = plain_value(row.get(column))
    if is_missing(value):
        return Refused(f"column {column}: no seed")
    whole = _WHOLE.fullmatch(value if isinstance(value, str) else str(value))
    if whole is not None and not (isinstance(value, float) and abs(value) >= _EXACT):
        return Draw(int(whole[1]), None)
    try:
        number = as_number(value, column)
    except MammalError as error:
        return Refused(str(error))
    if not number.is_integer():
        return Refused(f"column {column}: {value} is not a whole number")
    if abs(number) >= _EXACT:
        what = f"{value} is a decimal number too large to be exact; write it as a whole number"
        return Refused(f"column {column}: {what}")
    return Draw(int(number), None)

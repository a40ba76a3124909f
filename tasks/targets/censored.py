"""Censored labels (Tobin 1958): numbers of which a measurement gives only a bound, such as `>10` or `<= 5`.

`mammal.tasks.targets.losses` has the loss for them; `docs/tasks.md` describes everything else that is done with them.
"""

from __future__ import annotations

import re
from typing import Any

from mammal.tasks.errors import DataError
from mammal.tasks.tables.cells import as_number

AT_LEAST, EXACT, AT_MOST = 1, 0, -1
"""Position of the truth: at or above the number of the cell, equal to it, at or below it."""

_SIGNS = {
    **dict.fromkeys((">", ">=", "≥", ">>"), AT_LEAST),
    **dict.fromkeys(("<", "<=", "≤", "<<"), AT_MOST),
    "=": EXACT,
}
_APPROXIMATE = ("~", "≈", "±")
_RELATION = re.compile(r"\s*(>>|>=|>|≥|<<|<=|<|≤|=|~|≈|±)\s*")


def bounded_number(value: Any, column: str) -> tuple[float, int]:
    """Reads a number or a bound from a cell.

    Args:
        value: the cell.
        column: name of its column, for error messages.

    Returns:
        The number, and the position of the truth: `EXACT`, `AT_LEAST` or `AT_MOST`.

    Raises:
        DataError: the cell is not a finite number, or an approximate one (`~3`).
    """
    found = _RELATION.match(value) if isinstance(value, str) else None
    if found is None:
        return as_number(value, column), EXACT
    relation, number = found[1], value[found.end() :].strip()
    if relation in _APPROXIMATE:
        hint = f"write {number} if that is near enough, or leave the cell empty"
        raise DataError(f"{value!r} is neither a measured number nor a bound", where=f"column {column}", hint=hint)
    return as_number(number, column), _SIGNS[relation]

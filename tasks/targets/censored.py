"""Numbers that a measurement could only bound: `>10`, `<= 5` (censored labels; Tobin 1958).

What the loss makes of them is in `mammal.tasks.targets.losses`, what else is done with them in `docs/tasks.md`.
"""

from __future__ import annotations

import re
from typing import Any

from mammal.tasks.errors import DataError
from mammal.tasks.tables.cells import as_number

AT_LEAST, EXACT, AT_MOST = 1, 0, -1
"""Where the truth lies: at the number of the cell or above, at it, at it or below."""

_SIGNS = {
    **dict.fromkeys((">", ">=", "≥", ">>"), AT_LEAST),
    **dict.fromkeys(("<", "<=", "≤", "<<"), AT_MOST),
    "=": EXACT,
}
_APPROXIMATE = ("~", "≈", "±")
_RELATION = re.compile(r"\s*(>>|>=|>|≥|<<|<=|<|≤|=|~|≈|±)\s*")


def bounded_number(value: Any, column: str) -> tuple[float, int]:
    """The number of a cell, and whether it is the truth (`EXACT`), `AT_LEAST` or `AT_MOST` bounds it.

    Raises:
        DataError: not a finite number, or one that is only about right (`~3`).
    """
    found = _RELATION.match(value) if isinstance(value, str) else None
    if found is None:
        return as_number(value, column), EXACT
    relation, number = found[1], value[found.end() :].strip()
    if relation in _APPROXIMATE:
        hint = f"write {number} if that is near enough, or leave the cell empty"
        raise DataError(f"{value!r} is no measured number and no bound", where=f"column {column}", hint=hint)
    return as_number(number, column), _SIGNS[relation]

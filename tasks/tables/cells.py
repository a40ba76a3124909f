"""Cells of a user's table as text and numbers: what is missing, what is a label, what is a finite number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mammal.tasks.errors import DataError
from mammal.tokenization.errors import did_you_mean

Row = Mapping[str, Any]


def cell(row: Row, column: str, aliases: Mapping[str, str]) -> Any:
    """The row's value under a template column, or under the file's own name for it.

    Raises:
        DataError: the row has neither column.
    """
    if column in row:
        return row[column]
    alias = aliases.get(column)
    if alias is not None and alias in row:
        return row[alias]
    raise missing_column(alias or column, row)


def missing_column(column: str | Sequence[str], columns: Mapping[str, Any] | Sequence[str]) -> DataError:
    """The error for a column that a table lacks, or for several of which it has none."""
    names = [column] if isinstance(column, str) else list(column)
    hint = did_you_mean(names[0], [str(c) for c in columns], noun="column")
    return DataError(f"no column {' or '.join(map(repr, names))}", hint=hint)


def is_missing(value: Any) -> bool:
    """None, NaN, pandas' NA, and text of blanks only. The words "NA" and "nan" are text: "NA" is a peptide."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace()
    if isinstance(value, float):
        return math.isnan(value)
    return bool(value != value) if hasattr(value, "dtype") else type(value).__name__ in ("NAType", "NaTType")


def as_text(value: Any) -> str:
    """Text of a cell without surrounding blanks; whole floats lose their `.0`, as pandas adds it beside empty cells."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(int(value))
    if hasattr(value, "item"):
        value = value.item()
        return as_text(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def as_number(value: Any, column: str) -> float:
    """A finite number.

    Raises:
        DataError: not a number, NaN or infinite.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise DataError(f"{value!r} is no number", where=f"column {column}") from None
    if not math.isfinite(number):
        raise DataError(f"{value!r} is not finite", where=f"column {column}")
    return number


def as_required_text(row: Row, column: str, aliases: Mapping[str, str]) -> str:
    """Text of a cell that must not be empty."""
    value = cell(row, column, aliases)
    if is_missing(value):
        raise DataError("empty cell", where=f"column {column}")
    return as_text(value)

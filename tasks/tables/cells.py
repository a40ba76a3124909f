"""Conversion of the cells of a user's table to text and numbers, and the test whether a cell is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mammal.tasks.errors import DataError
from mammal.tokenization.errors import did_you_mean

Row = Mapping[str, Any]

MISSING_WORDS = frozenset(
    {
        *("NA", "na", "Na", "N/A", "n/a", "N.A.", "n.a.", "#N/A", "#NA", "<NA>"),
        *("NaN", "nan", "Nan", "NAN", "-NaN", "-nan", "NaT", "NULL", "Null", "null", "None"),
        *("ND", "nd", "N.D.", "n.d.", "NT", "nt", "n.t.", "N.T.", "not determined", "not tested", "not available"),
        *("missing", "Missing", "MISSING", "?", "-", "--", "."),
    }
)
"""Texts that tables write where nothing was measured: those that pandas reads as missing, and words of assays."""


def cell(row: Row, column: str, aliases: Mapping[str, str]) -> Any:
    """Returns the row's value in a template column, or in the file's column that the template column is mapped to.

    Args:
        row: the row.
        column: name of the column in the prompt template.
        aliases: template column -> name of the column in the file.

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
    """Returns the error for a missing column.

    Args:
        column: name of the column; if several are given, each of them would do.
        columns: columns that the table has, for the hint.
    """
    names = [column] if isinstance(column, str) else list(column)
    hint = did_you_mean(names[0], [str(c) for c in columns], noun="column")
    return DataError(f"no column {' or '.join(map(repr, names))}", hint=hint)


def is_missing(value: Any) -> bool:
    """Whether a cell is missing: None, NaN, pandas' NA, empty text or only blanks, an array without items.

    The words "NA" and "nan" are not missing: "NA" is a peptide.
    """
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace()
    if isinstance(value, float):
        return math.isnan(value)
    if getattr(value, "ndim", 0):
        return not len(value)
    return bool(value != value) if hasattr(value, "dtype") else type(value).__name__ in ("NAType", "NaTType")


def is_missing_label(value: Any) -> bool:
    """Whether a cell of a label or a measured number is empty, or has one of `MISSING_WORDS`.

    Inputs are not read by this rule: the peptide "NA" is a peptide.
    """
    return is_missing(value) or (isinstance(value, str) and value.strip() in MISSING_WORDS)


def as_text(value: Any) -> str:
    """Returns the text of a cell without surrounding blanks.

    Whole floats lose their `.0`: pandas turns a column of integers into floats if one of its cells is empty.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(int(value))
    if getattr(value, "ndim", 0):
        return " ".join(map(as_text, value.tolist()))
    if hasattr(value, "item"):
        value = value.item()
        return as_text(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def as_number(value: Any, column: str) -> float:
    """Converts a cell to a finite number.

    Args:
        value: the cell.
        column: name of its column, for the error message.

    Raises:
        DataError: not a number, NaN or infinite.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise DataError(f"{value!r} is not a number", where=f"column {column}") from None
    if not math.isfinite(number):
        raise DataError(f"{value!r} is not finite", where=f"column {column}")
    return number


def as_required_text(row: Row, column: str, aliases: Mapping[str, str]) -> str:
    """Returns the text of a cell that must not be empty; arguments as for `cell`.

    Raises:
        DataError: the row lacks the column, or the cell is empty.
    """
    value = cell(row, column, aliases)
    if is_missing(value):
        raise DataError("empty cell", where=f"column {column}")
    return as_text(value)

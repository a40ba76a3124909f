"""Tables in which a variant stands between its flanks: `ACGT[A/G]TTC`, or columns left, alleles and right.

Lower case (soft masking) is folded, as everywhere in the DNA alphabet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammal.tasks.errors import DataError
from mammal.tasks.views.dna import cropped
from mammal.tokenization.errors import PromptError
from mammal.tokenization.variants import Variant, parse

NOTATION = ("sequence", "flanks", "window")
"""Columns that may hold the notation, the first that a table has counts."""

PARTS = ("left", "alleles", "right")


def flank_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of a table that say a variant with its flanks: one with the notation, or three; () without any."""
    if set(PARTS) <= set(columns):
        return PARTS
    return next(((name,) for name in NOTATION if name in columns), ())


def in_place_text(row: Mapping[str, Any], columns: Sequence[str], window: int | None = None) -> str:
    """The variant written in place.

    Args:
        columns: of `flank_columns`. Alleles are written `A/G` or `[A/G]`, no bases as `-`.
        window: reference bases to keep around the variant; None: all.

    Raises:
        DataError: a cell that is no such notation, or that holds no variant; names the character.
    """
    cells = ["" if row.get(name) is None else str(row[name]).strip() for name in columns]
    if len(cells) == len(PARTS):
        cells[1] = f"[{cells[1].strip('[]')}]"
    text = "".join(cells)
    try:
        pieces = parse(text)
        if not any(isinstance(piece, Variant) for piece in pieces):
            raise DataError("no variant is written in it", where=", ".join(columns), hint="such as ACGT[A/G]TTC")
        whole = "".join(map(str, pieces))
        return whole if window is None else cropped(whole, window)
    except PromptError as error:
        raise DataError(error.what, where=error.where or ", ".join(columns), hint=error.hint) from error

"""Tables with variants between their flanks: `ACGT[A/G]TTC`, or columns left, alleles and right.

Lower case (soft masking) is converted to upper case, as everywhere in the DNA alphabet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammal.tasks.errors import DataError
from mammal.tasks.views.dna import cropped
from mammal.tokenization.errors import PromptError
from mammal.tokenization.variants import Variant, parse_variants

NOTATION = ("sequence", "flanks", "window")
"""Columns that may hold the notation; the first one that a table has is used."""

PARTS = ("left", "alleles", "right")


def flank_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Returns the columns of a table with a variant and its flanks: one with the notation, or three; () if none."""
    if set(PARTS) <= set(columns):
        return PARTS
    return next(((name,) for name in NOTATION if name in columns), ())


def in_place_text(row: Mapping[str, Any], columns: Sequence[str], window: int | None = None) -> str:
    """Returns the window of a row with the variant written in place.

    Args:
        row: the row.
        columns: result of `flank_columns`. Alleles are written as `A/G` or `[A/G]`; `-` means no bases.
        window: number of reference bases to keep around the variant; None: all.

    Raises:
        DataError: a cell is not in this notation (the message names the character), or holds no variant.
    """
    cells = ["" if row.get(name) is None else str(row[name]).strip() for name in columns]
    if len(cells) == len(PARTS):
        cells[1] = f"[{cells[1].strip('[]')}]"
    text = "".join(cells)
    try:
        pieces = parse_variants(text)
        if not any(isinstance(piece, Variant) for piece in pieces):
            raise DataError("no variant is written in it", where=", ".join(columns), hint="such as ACGT[A/G]TTC")
        whole = "".join(map(str, pieces))
        return whole if window is None else cropped(whole, window)
    except PromptError as error:
        raise DataError(error.what, where=error.where or ", ".join(columns), hint=error.hint) from error

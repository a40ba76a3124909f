"""Cold splits: the drugs, targets or epitopes of one part occur in no other part.

The distinct values of a column are distributed over the parts. With several columns, the values of each column are
distributed, and a row belongs to a part only if all its values do. So both drug and target of every test pair are new.
A value that occurs in several columns (a protein that is the first of one pair and the second of another) has the same
part in all of them. Pairs that mix parts are left out. Shares are shares of values, as in TDC's cold splits (Huang et
al. 2021). So with two columns and shares of 0.8, 0.1 and 0.1, test holds about 0.1 · 0.1 of the pairs and train about
0.8 · 0.8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammal.tasks.splits.split import PARTS, Split, cuts, parts_of
from mammal.tasks.splits.table import Table


def cold(table: Table) -> Split:
    """Splits by the values of `data.split_on`; default: every molecule and sequence column of the prompt.

    Molecules with equal normalised SMILES are one value.
    """
    columns = table.asked()
    rng = np.random.default_rng(table.data.split_seed)
    values = {column: table.keys(column) for column in columns}
    homes: dict[str, str] = {}
    for column in columns:
        homes |= _homes(set(values[column]) - homes.keys(), table.data.fractions, rng)
    placed: list[str | None] = []
    left_out = []
    for row in range(len(table)):
        empty = [column for column in columns if not values[column][row]]
        said = [homes.get(values[column][row]) for column in columns]
        together = not empty and len(set(said)) == 1
        placed.append(said[0] if together else None)
        if empty:
            left_out.append((row, f"column {empty[0]!r} is empty"))
        elif not together:
            mixed = ", ".join(f"{column} is of {part}" for column, part in zip(columns, said, strict=True))
            left_out.append((row, f"its values are of different parts: {mixed}"))
    return Split(f"cold {' and '.join(columns)}, seed {table.data.split_seed}", parts_of(placed), left_out)


def _homes(values: set[str], fractions: Sequence[float], rng: np.random.Generator) -> dict[str, str]:
    """The part of each value; it does not depend on the order of rows."""
    known = sorted(values - {""})
    order = rng.permutation(len(known))
    pieces = zip(PARTS, np.split(order, cuts(len(known), fractions)), strict=True)
    return {known[number]: part for part, piece in pieces for number in piece.tolist()}

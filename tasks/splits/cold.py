"""Cold entities: the drugs, targets or epitopes of one part occur in no other part.

With one column, its values are shared out. With several, the values of each column are, and a row belongs to a part
only if all its values do: both drug and target of every test pair are new. A value that stands in several columns (a
protein that is the first of one pair and the second of another) has one part in all of them. Pairs that mix parts are
left out. Shares are shares of values, as in TDC's cold splits (Huang et al. 2021), so with two columns a test share of
0.1 holds about a hundredth of the pairs, and train about 0.8 of 0.8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammal.tasks.splits.split import PARTS, Split, cuts, parts_of
from mammal.tasks.splits.table import Table


def cold(table: Table) -> Split:
    """By `data.split_on`, default every molecule and sequence of the prompt; equal canonical SMILES are one value."""
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
    """The part of each value; the order of rows plays no role."""
    known = sorted(values - {""})
    order = rng.permutation(len(known))
    pieces = zip(PARTS, np.split(order, cuts(len(known), fractions)), strict=True)
    return {known[number]: part for part, piece in pieces for number in piece.tolist()}

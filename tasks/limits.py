"""Limits of a row: what is longer is set aside with a reason before any library reads it.

A reader must never let one row end the process or fill the memory. RDKit, for example, can take minutes, or end the
process, on molecules far beyond any drug (seen with RDKit 2026.9).
"""

from __future__ import annotations

LONGEST_LINE = 16_000_000
"""Characters of a line of a text file, of a JSON object, of a record of an SDF file and of a quoted cell."""

LONGEST_CELL = 1_000_000
"""Characters of a cell, of a sequence of a FASTA file and of a mol block."""

LONGEST_SMILES = 10_000
"""Characters of a SMILES that RDKit reads. The largest molecules of PubChem and ChEMBL have about 2,000 characters."""

MOST_ATOMS = 10_000
"""Atoms of a molecule of an SDF file."""


def too_long(what: str, length: int, limit: int, unit: str = "characters") -> str | None:
    """Returns the reason why something is set aside; None if it is within the limit.

    Args:
        what: what has this length, such as "the line".
        length: number of characters or other units.
        limit: largest number that is read.
        unit: what is counted.
    """
    return None if length <= limit else f"{what} has {length:,} {unit}, and the limit is {limit:,}"


def long_cell(names: list[str], cells: list[str], total: int) -> str | None:
    """Returns the reason if one of the cells of a row is longer than `LONGEST_CELL`, else None.

    Args:
        names: names of the columns.
        cells: text of the cells. There can be more or fewer than names.
        total: number of characters of all cells. If it is small, the cells are not measured.
    """
    if total <= LONGEST_CELL:
        return None
    for place, cell in enumerate(cells):
        name = repr(names[place]) if place < len(names) else str(place + 1)
        if reason := too_long(f"column {name}", len(cell), LONGEST_CELL):
            return reason
    return None

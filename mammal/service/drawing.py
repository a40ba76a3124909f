"""Drawings of the molecules in a request."""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST = 100
"""Molecules that are drawn for one request."""
CHARACTERS, ATOMS = 400, 120
"""Length of a SMILES and number of atoms up to which a molecule is drawn. The coordinates of larger ones take long."""


def drawings(smiles: Sequence[str]) -> list[str | None]:
    """Returns the drawing of each molecule as SVG, in the text colour of the page.

    The drawing is None if there is no molecule, or a large one.

    Args:
        smiles: SMILES, valid or not.
    """
    return [_drawing(one) for one in smiles]


def _drawing(smiles: str) -> str | None:
    from mammal.report.molecules import draw_molecule
    from mammal.tasks.molecules.chemistry import parse_smiles

    if not smiles.strip() or len(smiles) > CHARACTERS:
        return None
    molecule = parse_smiles(smiles)
    if molecule is None or not 0 < molecule.GetNumAtoms() <= ATOMS:
        return None
    try:
        return _without_styles(draw_molecule(molecule))
    except (RuntimeError, ValueError):  # RDKit finds no coordinates
        return None


def _without_styles(svg: str) -> str:
    """The drawing with attributes in place of styles, which the content security policy of the page forbids."""

    def attributes(style: re.Match[str]) -> str:
        pairs = (one.partition(":") for one in style[1].split(";") if one)
        return " ".join(f"{name}='{value}'" for name, _, value in pairs)

    return re.sub(r"style='([^']*)'", attributes, svg).replace("var(--ink)", "currentColor")

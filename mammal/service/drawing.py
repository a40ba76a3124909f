"""Drawings of molecules, without and with attributions of their atoms."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

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


def explained_drawings(
    smiles: Sequence[str], attribution: Sequence[Sequence[float | None]], largest: float | None = None, unit: str = ""
) -> list[str | None]:
    """Returns the drawing of each molecule with coloured atoms and a legend, as SVG, in the text colour of the page.

    The drawing is None if there is no molecule, or a large one, or if it has another number of atoms.

    Args:
        smiles: SMILES as the model read them (column `read` of an explanation).
        attribution: one number for each atom of each molecule, in the order of its text; None is not coloured.
        largest: absolute attribution with the strongest colour. Default: the largest one of each molecule.
        unit: what the numbers are, for the legend.
    """
    return [_explained(one, numbers, largest, unit) for one, numbers in zip(smiles, attribution, strict=True)]


def _explained(smiles: str, numbers: Sequence[float | None], largest: float | None, unit: str) -> str | None:
    from mammal.explanation.drawings import molecule_svg

    if len(smiles) > CHARACTERS or not 0 < len(numbers) <= ATOMS:
        return None
    attribution = [float("nan") if number is None else number for number in numbers]
    return _drawn(molecule_svg, smiles, attribution, largest=largest, unit=unit)


def _drawing(smiles: str) -> str | None:
    from mammal.report.molecules import draw_molecule
    from mammal.tasks.molecules.chemistry import parse_smiles

    if not smiles.strip() or len(smiles) > CHARACTERS:
        return None
    molecule = parse_smiles(smiles)
    if molecule is None or not 0 < molecule.GetNumAtoms() <= ATOMS:
        return None
    return _drawn(draw_molecule, molecule)


def _drawn(draw: Callable[..., str | None], *given: Any, **how: Any) -> str | None:
    try:
        svg = draw(*given, **how)
    except (RuntimeError, ValueError):  # RDKit finds no coordinates
        return None
    return None if svg is None else _without_styles(svg)


def _without_styles(svg: str) -> str:
    """The drawing with attributes in place of styles, which the content security policy of the page forbids."""

    def attributes(style: re.Match[str]) -> str:
        pairs = (one.partition(":") for one in style[1].split(";") if one)
        return " ".join(f"{name}='{value}'" for name, _, value in pairs)

    return re.sub(r"var\(--\w+[^)]*\)", "currentColor", re.sub(r"style='([^']*)'", attributes, str(svg)))

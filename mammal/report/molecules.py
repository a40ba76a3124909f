"""Draws molecules as SVG, in the text colour of the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from mammal.report.page import MoleculeCard
from mammal.report.page import molecules as cards_of

if TYPE_CHECKING:
    import pandas as pd
    from rdkit.Chem import Mol

WIDTH, HEIGHT = 240, 180
COMPONENTS = 6
"""Maximum number of components of a molecule that are drawn one by one; a molecule of more is one drawing."""


def count(smiles: Sequence[str]) -> tuple[int, int]:
    """Counts the strings that RDKit reads as a molecule with at least one atom, and the different molecules.

    Args:
        smiles: strings, valid or not.
    """
    from rdkit.Chem import MolToSmiles

    molecules = [molecule for s in smiles if (molecule := _molecule(s)) is not None]
    return len(molecules), len({MolToSmiles(molecule) for molecule in molecules})


def grid(smiles: Sequence[str], captions: Sequence[str] | None = None) -> Markup:
    """Returns a grid of cards: the drawing of each component, whether RDKit can read the string, and the string itself.

    Args:
        smiles: strings, valid or not.
        captions: a text for each string. Default: none.
    """
    return cards_of(_card(s, c) for s, c in zip(smiles, captions or [""] * len(smiles), strict=True))


def requested_captions(requested: pd.DataFrame, smiles: Sequence[str]) -> list[str]:
    """Returns a text for each string: its properties, each with the value that was requested.

    Args:
        requested: a column of requested values for each property; empty cells were not requested.
        smiles: the generated strings, one for each row. The text of a string that is not a molecule is empty.
    """
    from mammal.evaluation.results import short
    from mammal.tasks.molecules.properties import property_of

    captions = []
    for row, text in zip(requested.to_dict("records"), smiles, strict=True):
        molecule = _molecule(text)
        asked = {} if molecule is None else {str(k): float(v) for k, v in row.items() if v == v and v != ""}
        words = (f"{k} {short(property_of(k)(molecule))} (requested {short(v)})" for k, v in asked.items())
        captions.append(", ".join(words))
    return captions


def answer_cards(pairs: Sequence[tuple[str, Sequence[str]]]) -> Markup:
    """Returns a grid of molecules that a model has read or written, without a mark of validity.

    Args:
        pairs: the SMILES of each molecule, and the lines of text below the drawings of its components.
    """
    return cards_of(replace(_card(smiles, ""), lines=tuple(lines)) for smiles, lines in pairs)


def _card(smiles: str, caption: str) -> MoleculeCard:
    return MoleculeCard(smiles, [draw_molecule(one) for one in _components(smiles)], caption)


def _components(smiles: str) -> list[Mol]:
    """The components of a string, such as the reactants of a reaction, as molecules; none if RDKit can't read it.

    Ions stay one drawing with the ions next to them, because a salt is one substance.
    """
    from rdkit import Chem

    molecule = _molecule(smiles)
    if molecule is None:
        return []
    parts = Chem.GetMolFrags(molecule, asMols=True)
    whole = any(Chem.GetFormalCharge(part) for part in parts) or len(parts) > COMPONENTS
    return [molecule] if whole else list(parts)


def draw_molecule(molecule: Mol) -> Markup:
    """Returns the drawing of a molecule as SVG. Black is replaced by the text colour of the page.

    Args:
        molecule: the molecule.
    """
    from rdkit.Chem.Draw import rdMolDraw2D

    canvas = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT)
    options = canvas.drawOptions()
    options.clearBackground = False
    options.useBWAtomPalette()
    options.bondLineWidth = 1.4
    options.padding = 0.04
    options.minFontSize = 9  # letters of large molecules stay readable
    options.fixedBondLength = 30  # small molecules are not enlarged
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, molecule)
    canvas.FinishDrawing()
    svg = canvas.GetDrawingText()
    svg = svg[svg.index("<svg") :].replace("#000000", "var(--ink)")
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r" (?:width|height)='\d+px'", "", svg)
    return Markup(svg)  # safe: RDKit draws letters as paths, so no text of the data is inside


@lru_cache(maxsize=1024)
def _molecule(smiles: str) -> Mol | None:
    from rdkit import Chem, rdBase

    from mammal.tasks.limits import LONGEST_SMILES

    if len(smiles) > LONGEST_SMILES:
        return None
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    return molecule if molecule is not None and molecule.GetNumAtoms() else None

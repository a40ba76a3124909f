"""Drawings of molecules, each an SVG that takes the page's ink."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from mammal.report.page import text

if TYPE_CHECKING:
    from rdkit.Chem import Mol

WIDTH, HEIGHT = 240, 180


def count(smiles: Sequence[str]) -> tuple[int, int]:
    """How many of the strings RDKit reads as a molecule with at least one atom, and how many differ."""
    from rdkit.Chem import MolToSmiles

    molecules = [molecule for s in smiles if (molecule := _molecule(s)) is not None]
    return len(molecules), len({MolToSmiles(molecule) for molecule in molecules})


def grid(smiles: Sequence[str], captions: Sequence[str] | None = None) -> str:
    """A grid of cards: the drawing, whether RDKit can read it, and the string itself."""
    cards = (_card(s, c) for s, c in zip(smiles, captions or [""] * len(smiles), strict=True))
    return f'<div class="molecules">{"".join(cards)}</div>'


def _card(smiles: str, caption: str) -> str:
    molecule = _molecule(smiles)
    if molecule is None:
        picture, mark = '<div class="empty">no molecule</div>', '<span class="mark invalid">invalid</span>'
    else:
        picture, mark = draw(molecule), '<span class="mark valid">valid</span>'
    words = f" · {text(caption)}" if caption else ""
    return (
        f'<figure>{picture}<figcaption>{mark}{words}<br><span class="mono">{text(smiles)}</span></figcaption></figure>'
    )


def draw(molecule: Mol) -> str:
    """One molecule as SVG: black and white palette, its black replaced by the page's ink."""
    from rdkit.Chem.Draw import rdMolDraw2D

    canvas = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT)
    options = canvas.drawOptions()
    options.clearBackground = False
    options.useBWAtomPalette()
    options.bondLineWidth = 1.4
    options.padding = 0.08
    options.fixedBondLength = 30  # small molecules are not blown up
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, molecule)
    canvas.FinishDrawing()
    svg = canvas.GetDrawingText()
    svg = svg[svg.index("<svg") :].replace("#000000", "var(--ink)")
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    return re.sub(r" (?:width|height)='\d+px'", "", svg)


@lru_cache(maxsize=1024)
def _molecule(smiles: str) -> Mol | None:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    return molecule if molecule is not None and molecule.GetNumAtoms() else None

"""Pictures of attributions: molecules with coloured atoms, sequences as coloured text, and variants as a track.

Orange raises the output, blue lowers it, and the strength of the colour is the size of the attribution. The two colours
differ for all usual forms of colour blindness. Every picture has a legend with numbers. The markup is complete: it
needs no style sheet, follows the text colour of the page, and contains no unescaped text of the data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from mammal.explanation.parts import VARIANT
from mammal.explanation.smiles_atoms import molecule_as_written

RAISES, LOWERS = (0.85, 0.37, 0.01), (0.10, 0.44, 0.76)
"""Colours (red, green, blue) of attributions above and below zero."""

_INK, _SOFT = "var(--ink, #1c2430)", "var(--soft, #5c6675)"
_FONT = "system-ui, sans-serif"
_MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_NEEDLESS = r"<!--.*?-->| class='[^']*'|;fill-rule:evenodd|;stroke-(?:linecap:butt|linejoin:miter|opacity:1(?=[';]))"
"""What RDKit writes for each atom and bond without an effect: comments, classes, and styles that are the default."""
BLOCK, LINE = 10, 60
"""Residues or bases of a block, and of a line."""


def largest_of(attributions: Sequence[Sequence[float] | np.ndarray]) -> float:
    """Returns the largest absolute attribution, by which colours are scaled; 1 if there is none.

    Args:
        attributions: those of everything that is drawn in the same scale.
    """
    every = [np.abs(np.asarray(one, dtype=np.float64)) for one in attributions]
    known = [float(np.nanmax(one)) for one in every if len(one) and not np.isnan(one).all()]
    return max(known, default=0.0) or 1.0


def molecule_svg(
    smiles: str,
    attribution: Sequence[float] | np.ndarray,
    *,
    largest: float | None = None,
    unit: str = "",
    width: int = 360,
    height: int = 270,
) -> Markup | None:
    """Draws a molecule with a coloured disc behind each atom, and a legend below it.

    Args:
        smiles: the molecule, as the model read it.
        attribution: one number for each atom in the order of the text; NaN is not coloured.
        largest: absolute attribution with the strongest colour. Default: the largest one of the molecule.
        unit: what the numbers are, for the legend.
        width: width in pixels.
        height: height of the molecule in pixels, without the legend.

    Returns:
        The SVG. None if RDKit can't read the molecule, or its atoms are not those of the attribution.
    """
    molecule = molecule_as_written(smiles)
    if molecule is None or molecule.GetNumAtoms() != len(attribution):
        return None
    largest = largest or largest_of([attribution])
    picture = _drawn(molecule, attribution, largest, width, height)
    legend = _legend(largest, unit, width)
    whole = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 34}" role="img">'
    return Markup(f'{whole}{picture}<g transform="translate(0 {height})">{legend}</g></svg>')


def _drawn(molecule: object, attribution: Sequence[float] | np.ndarray, largest: float, width: int, height: int) -> str:
    """The content of RDKit's drawing, with its black as the text colour of the page."""
    from rdkit.Chem.Draw import rdMolDraw2D

    canvas = rdMolDraw2D.MolDraw2DSVG(width, height)
    options = canvas.drawOptions()
    options.clearBackground = False
    options.useBWAtomPalette()
    options.bondLineWidth = 1.6
    options.padding = 0.08
    options.minFontSize = 11
    options.fixedBondLength = 42
    options.atomHighlightsAreCircles = True
    options.fillHighlights = True
    colours = {
        atom: _colour(value, largest) for atom, value in enumerate(attribution) if _strength(value, largest) > 0.02
    }
    rdMolDraw2D.PrepareAndDrawMolecule(
        canvas,
        molecule,
        highlightAtoms=list(colours),
        highlightAtomColors=colours,
        highlightAtomRadii=dict.fromkeys(colours, 0.42),
        highlightBonds=[],
    )
    canvas.FinishDrawing()
    svg = canvas.GetDrawingText().replace("#000000", _INK)
    svg = re.sub(_NEEDLESS, "", svg, flags=re.DOTALL)
    return svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]  # RDKit draws letters as paths: no text


def sequence_html(
    parts: Sequence[str],
    attribution: Sequence[float] | np.ndarray,
    *,
    largest: float | None = None,
    unit: str = "",
) -> Markup:
    """Draws a sequence as coloured text in blocks of ten, with the position of the first part of each line.

    Args:
        parts: text of each residue, base or token.
        attribution: one number for each part; NaN, of a part that was cut off, is grey.
        largest: absolute attribution with the strongest colour. Default: the largest one of the sequence.
        unit: what the numbers are, for the legend.
    """
    largest = largest or largest_of([attribution])
    size = 1 if all(len(part) == 1 or part.startswith("[") for part in parts) else 0
    lines = [_line(parts, attribution, largest, start, spaced=not size) for start in range(0, len(parts), LINE)]
    style = f"font-family: {_MONO}; font-size: 13px; line-height: 1.75; overflow-x: auto"
    legend = _legend(largest, unit, 360)
    return Markup(
        f'<div class="sequence" style="{style}">{"".join(lines)}</div>'
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 34" style="max-width: 360px">{legend}</svg>'
    )


def _line(
    parts: Sequence[str], attribution: Sequence[float] | np.ndarray, largest: float, start: int, *, spaced: bool
) -> str:
    cells = []
    for place in range(start, min(start + LINE, len(parts))):
        gap = place > start and (spaced or (place - start) % BLOCK == 0)
        cells.append((" " if gap else "") + _letter(parts[place], float(attribution[place]), largest, place + 1))
    number = f'<span style="color: {_SOFT}">{start + 1:>5}</span>  '
    return f'<div style="white-space: {"pre-wrap" if spaced else "pre"}">{number}{"".join(cells)}</div>'


def _letter(text: str, value: float, largest: float, position: int) -> str:
    if math.isnan(value):
        return f'<span title="{position}: not read" style="color: {_SOFT}">{escape(text)}</span>'
    red, green, blue, alpha = _colour(value, largest)
    colour = f"rgba({red * 255:.0f}, {green * 255:.0f}, {blue * 255:.0f}, {alpha:.2f})"
    style = f"background: {colour}; border-radius: 2px"
    return f'<span title="{position}: {_number(value)}" style="{style}">{escape(text)}</span>'


def variant_svg(
    parts: Sequence[str],
    kinds: Sequence[str],
    attribution: Sequence[float] | np.ndarray,
    *,
    largest: float | None = None,
    unit: str = "",
    width: int = 720,
) -> Markup:
    """Draws DNA as a track: one bar for each base, and a mark with the alleles at each variant.

    Args:
        parts: text of each base or variant.
        kinds: `base` or `variant` for each part.
        attribution: one number for each part; NaN has no bar.
        largest: absolute attribution with the longest bar. Default: the largest one of the sequence.
        unit: what the numbers are, for the legend.
        width: width in pixels.
    """
    largest = largest or largest_of([attribution])
    left, right, half, middle = 46, 8, 50, 76
    step = (width - left - right) / max(1, len(parts))
    items = [_axis(left, width - right, middle, half, largest)]
    for place, (part, kind, value) in enumerate(zip(parts, kinds, attribution, strict=True)):
        centre = left + step * (place + 0.5)
        items.append(_bar(centre, step, float(value), largest, middle, half, f"{place + 1} {part}"))
        if kind == VARIANT:
            items.append(_flag(centre, middle + half + 6, part, place + 1, width))
        elif step >= 9:
            items.append(_text(centre, middle + half + 12, part, 9, anchor="middle", family=_MONO))
    items.append(_text(left, middle + half + 42, "1", 10))
    items.append(_text(width - right, middle + half + 42, str(len(parts)), 10, anchor="end"))
    items.append(f'<g transform="translate(0 {middle + half + 48})">{_legend(largest, unit, 360)}</g>')
    height = middle + half + 84
    whole = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    return Markup(f"{whole}{''.join(items)}</svg>")


def _axis(left: float, right: float, middle: float, half: float, largest: float) -> str:
    line = f'<line x1="{left}" x2="{right}" y1="{middle}" y2="{middle}" stroke="{_SOFT}" stroke-width="0.8"/>'
    ends = ((largest, middle - half), (0.0, middle), (-largest, middle + half))
    return line + "".join(_text(left - 5, y + 3.5, _number(value), 10, anchor="end") for value, y in ends)


def _bar(x: float, step: float, value: float, largest: float, middle: float, half: float, name: str) -> str:
    if math.isnan(value):
        return ""
    length = min(1.0, abs(value) / largest) * half
    y = middle - length if value > 0 else middle
    red, green, blue = RAISES if value > 0 else LOWERS
    fill = f"rgb({red * 255:.0f}, {green * 255:.0f}, {blue * 255:.0f})"
    wide = max(0.6, step * 0.8)
    box = f'x="{x - wide / 2:.2f}" y="{y:.2f}" width="{wide:.2f}" height="{length:.2f}"'
    return f'<rect {box} fill="{fill}"><title>{escape(name)}: {_number(value)}</title></rect>'


def _flag(x: float, y: float, text: str, position: int, width: int) -> str:
    short = text if len(text) <= 14 else text[:13] + "…"
    anchor = "start" if x < 60 else "end" if x > width - 60 else "middle"
    line = f'<line x1="{x:.2f}" x2="{x:.2f}" y1="18" y2="{y + 14:.2f}" stroke="{_INK}" stroke-dasharray="2 2"/>'
    return line + _text(x, 12, f"{short} at {position}", 11, anchor=anchor, family=_MONO)


def _legend(largest: float, unit: str, width: int) -> str:
    """A scale of colours from -largest to +largest with numbers, and the unit, in 34 pixels of height."""
    bar, left = 120, 44
    steps = 12
    boxes = []
    for step in range(steps):
        value = (2 * (step + 0.5) / steps - 1) * largest
        red, green, blue, alpha = _colour(value, largest)
        fill = f'fill="rgb({red * 255:.0f}, {green * 255:.0f}, {blue * 255:.0f})" fill-opacity="{alpha:.2f}"'
        boxes.append(
            f'<rect x="{left + step * bar / steps:.1f}" y="6" width="{bar / steps + 0.2:.1f}" height="9" {fill}/>'
        )
    numbers = [
        _text(left, 27, _number(-largest), 10, anchor="middle"),
        _text(left + bar / 2, 27, "0", 10, anchor="middle"),
        _text(left + bar, 27, "+" + _number(largest), 10, anchor="middle"),
    ]
    name = unit if len(unit) <= 44 else unit[:43] + "…"
    return "".join(boxes + numbers) + _text(left + bar + 24, 14, name, 10)


def _text(x: float, y: float, text: str, size: int, *, anchor: str = "start", family: str = _FONT) -> str:
    how = f'font-size="{size}" text-anchor="{anchor}" font-family="{family}" fill="{_INK}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {how}>{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "\u2212")


def _strength(value: float, largest: float) -> float:
    return 0.0 if math.isnan(value) else min(1.0, abs(float(value)) / largest)


def _colour(value: float, largest: float) -> tuple[float, float, float, float]:
    """Red, green, blue and opacity, 0 to 1; an attribution of 0 is transparent."""
    return (*(RAISES if value > 0 else LOWERS), 0.85 * _strength(value, largest))

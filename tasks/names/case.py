"""Restoring the capitals of names in lower case, as in older tables of PubChem, so that OPSIN can read them.

Capitals are meaningful in a name (IUPAC recommendations 2013, P-31.1.4, P-91.2, P-14.7): locants that are elements,
stereodescriptors, indicated hydrogen, nuclides. Each of these has a typical form by which it is recognised.

    n-(4-hydroxyphenyl)acetamide    -> N-(4-hydroxyphenyl)acetamide
    (2s,3r)-, (4as,6ar)-, (e)-      -> (2S,3R)-, (4aS,6aR)-, (E)-
    7h-purine, indol-3(2h)-one      -> 7H-purine, indol-3(2H)-one
    sodium;4-nitrobenzoate          -> sodium 4-nitrobenzoate
    diazanium;sulfate               -> diammonium sulfate
    tricalcium;diphosphate          -> tricalcium bis(phosphate)
"""

from __future__ import annotations

import re

_ELEMENT = re.compile(
    r"(?:(?<=[-,(\[{ ])|^)"  # start of a locant
    r"(?:[cn]|[osp](?!-(?:dioxin|tolyl|tolu|xyl|cres|phenylene|triaz|tetraz|indacen)))"
    r"(?=\d*'*[,-])"
)
"""A locant that is an element: `n,n-`, `n1-`, `s-`; not `p-tolyl` (para), `s-triazine`, `dibenzo-p-dioxin`."""

_POSITION = re.compile(r"(?:(?<=[-(\[{ ])|^)[op](?=-)")
"""A locant that can also mean ortho or para: `o-methylphenol` is a cresol, `O-methylphenol` is anisole."""

_LOCANT = r"(?:\d+'*[a-z]?'*|n\d*'*)?"
_STEREO = re.compile(rf"\(({_LOCANT}[rsez](?:,{_LOCANT}[rsez])*)\)")
_MARK = re.compile(r"n(?=\d*'*[rsez](?:,|$))|[rsez](?=,|$)")
"""In a group of stereodescriptors: the descriptor, and nitrogen as its locant."""

_INDICATED = re.compile(r"(?<=\d)([a-z]?'*)h(?=[-,)\]])")
_NUCLIDE = re.compile(r"\((\d+)(c|n|o|f|p|i|br|cl|se)(\d*)\)")


_TIMES = {"di": "bis", "tri": "tris"} | {
    text: f"{text}kis" for text in ("tetra", "penta", "hexa", "hepta", "octa", "nona", "deca")
}
_AZANIUM = re.compile(rf"(?P<times>{'|'.join(_TIMES)})azanium")
_ANIONS = re.compile(
    rf"(?P<times>{'|'.join(_TIMES)})"
    r"(?P<anion>(?:hydrogen ?)?(?:sulfate|sulfite|carbonate|phosphate|phosphite|silicate|borate|arsenate|chromate)"
    r"|(?:tetra|hexa)fluoro\w+)"
)
"""A component of several equal ions. Read as one word, it would be one larger ion: hydrazinium, diphosphate,
dicarbonate."""


def restored(name: str, *, positions: bool = False) -> str:
    """Returns the name with its capitals, and with a blank instead of each `;` between components.

    Args:
        name: the name in lower case.
        positions: read single `o-` and `p-` as ortho and para, not as oxygen and phosphorus.
    """
    if ";" not in name:
        return _capitals(name, positions)
    return " ".join(_counted(part) for part in components(name, positions=positions))


def components(name: str, *, positions: bool = False) -> list[str]:
    """Returns the components between `;`, each with its capitals; arguments as for `restored`."""
    return [_capitals(part, positions) for part in map(str.strip, name.split(";")) if part]


def _capitals(text: str, positions: bool) -> str:
    def element(found: re.Match[str]) -> str:
        return found[0] if positions and _POSITION.match(text, found.start()) else found[0].upper()

    text = _ELEMENT.sub(element, text)
    text = _STEREO.sub(lambda found: _MARK.sub(lambda mark: mark[0].upper(), found[0][1:-1]).join("()"), text)
    text = _INDICATED.sub(r"\1H", text)
    return _NUCLIDE.sub(lambda found: f"({found[1]}{found[2].capitalize()}{found[3]})", text)


def _counted(part: str) -> str:
    if found := _AZANIUM.fullmatch(part):
        return f"{found['times']}ammonium"
    if found := _ANIONS.fullmatch(part):
        return f"{_TIMES[found['times']]}({found['anion']})"
    return part

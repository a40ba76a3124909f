"""Names that lost their capitals, as older tables of PubChem store them, in the spelling that OPSIN reads."""

from __future__ import annotations

import re

_START = r"(?:(?<=[-,(\[{ ;])|^)"
"""Where a locant or a descriptor begins."""

_HETERO = re.compile(_START + r"([nosp])(?=(?:\d*'*,|\d*'*-)[^a]?)")
_STEREO = re.compile(r"\(((?:\d+[a-z]?'*)?[rsez](?:,(?:\d+[a-z]?'*)?[rsez])*)\)")
_INDICATED_H = re.compile(r"(\d[a-z]?'*)h(?=[-,)\]])")


def restored(name: str) -> str:
    """The name with capitals where nomenclature has them, and blanks between components."""
    text = name.replace(";", " ")
    text = _HETERO.sub(lambda found: found[0].upper(), text)
    text = _STEREO.sub(
        lambda found: re.sub(r"[rsez](?=,|$)", lambda mark: mark[0].upper(), f"{found[1]}").join("()"), text
    )
    return _INDICATED_H.sub(r"\1H", text)

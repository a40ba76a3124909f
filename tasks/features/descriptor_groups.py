"""Groups of RDKit descriptors, for figures by group."""

from __future__ import annotations

import re

import numpy as np

from mammal.tasks.features.rdkit_names import NAMES

_PATTERNS = {
    "fragments": r"fr_.*",
    "EState": r"(Max|Min)(Abs)?EStateIndex|EState_VSA\d+|VSA_EState\d+",
    "VSA": r"(PEOE|SMR|SlogP)_VSA\d+|LabuteASA|TPSA",
    "charges": r".*PartialCharge|BCUT2D_.*",
    "topology": r"Chi\d[nv]?|Kappa\d|BalabanJ|BertzCT|HallKierAlpha|Phi|SPS|FpDensityMorgan\d",
    "counts": r"Num.*|.*Count|FractionCSP3",
    "size": r".*MolWt|MolLogP|MolMR|qed",
}
"""Name of a group -> pattern of its descriptors. The first group whose pattern fits has the descriptor."""


def _groups() -> dict[str, np.ndarray]:
    found: dict[str, list[int]] = {group: [] for group in _PATTERNS}
    for place, name in enumerate(NAMES):
        group = next(group for group, pattern in _PATTERNS.items() if re.fullmatch(pattern, name))
        found[group].append(place)
    return {group: np.array(places) for group, places in found.items()}


DESCRIPTOR_GROUPS: dict[str, np.ndarray] = _groups()
"""Name of a group -> places of its descriptors in `NAMES`, int64."""

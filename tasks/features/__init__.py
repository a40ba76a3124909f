"""Features: vectors computed from a column, for the slots `{smiles:descriptors}`, `{smiles:morgan}`,
`{protein:esm2}`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from mammal.tasks.errors import TaskError
from mammal.tasks.features.descriptors import Descriptors
from mammal.tasks.features.esm2 import DEFAULT, Esm2
from mammal.tasks.features.feature import Feature
from mammal.tasks.features.morgan import Morgan
from mammal.tokenization.template_syntax import TemplateSlot

FEATURES: dict[str, Callable[[str], Feature]] = {
    "descriptors": lambda _: Descriptors(),
    "morgan": lambda _: Morgan(),
    "esm2": Esm2,
}
"""Name of a feature in templates -> function that creates it from the name of the task's ESM-2 model."""


def build_features(
    slots: Sequence[TemplateSlot], esm2: str | None, molecules: Collection[str], sequences: Collection[str]
) -> dict[str, Feature]:
    """Creates the features of a template, by slot key (`smiles.descriptors`).

    Args:
        slots: slots of one part of the template; slots of other kinds are ignored.
        esm2: name of the ESM-2 model; None: the smallest.
        molecules: columns with SMILES.
        sequences: columns with residues or bases.

    Raises:
        TaskError: a feature of molecules is used on a column of sequences, or the other way round.
    """
    features: dict[str, Feature] = {}
    for slot in slots:
        if slot.kind == "feature":
            if slot.column in molecules and slot.column in sequences:
                what = f"column {slot.column!r} can't hold both molecules and sequences"
                hint = "descriptors and morgan read molecules, esm2 reads proteins"
                raise TaskError(what, where=f"{{{slot.column}:{slot.name}}}", hint=hint)
            features[slot.key] = FEATURES[slot.name](esm2 or DEFAULT)
    return features

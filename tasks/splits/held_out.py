"""Molecules that another task tests on: their rows are left out of what is trained and validated on.

    bbbp    the test parts of MoleculeNet's BBBP, by scaffold (`bbbp`) and in MoLFormer's files (`moleculenet_bbbp`)

A list ships as one file of InChIKey first blocks, which say how atoms are connected: stereoisomers, isotopologues
and most tautomers of a molecule have the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from mammal.tasks.splits.split import Split

_BLOCK = 14
"""Letters of an InChIKey that tell the connectivity."""


def without_held_out(split: Split, name: str, smiles: Sequence[Sequence[str]]) -> Split:
    """The split without the rows of train and valid that hold a molecule of a list.

    Args:
        name: one of `mammal.tasks.declaration.data_config.HELD_OUT`.
        smiles: for each column with molecules, the SMILES of every row.
    """
    listed = held_out_molecules(name)
    reasons = {}
    for part in ("train", "valid"):
        for row in split.parts[part].tolist():
            found = listed.intersection(connectivity(texts[row]) for texts in smiles)
            if found:
                reasons[row] = f"{min(found)} is tested on by another task (data.held_out={name})"
    return split.without(reasons, f"{split.how}, {len(reasons)} rows of {name} left out") if reasons else split


@cache
def held_out_molecules(name: str) -> frozenset[str]:
    """InChIKey first blocks of a list."""
    text = (files("mammal.tasks.splits") / f"held_out_{name}.txt").read_text(encoding="ascii")
    return frozenset(text.split())


def connectivity(smiles: str) -> str:
    """The first block of a molecule's InChIKey, "" for text that is not a molecule."""
    from mammal.tasks.molecules.chemistry import inchikey_or_none

    return (inchikey_or_none(smiles) or "")[:_BLOCK] if smiles else ""

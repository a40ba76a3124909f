"""Packed Morgan fingerprints of molecules, and the column of a task that holds its molecules.

Shapes: X bytes of a packed fingerprint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.batches.example import Example
from mammal.tasks.molecules.chemistry import canonical_or_none, molecule_just_read, parse_smiles
from mammal.tasks.tables.cells import Row, as_text, is_missing
from mammal.tokenization.errors import MammalError

if TYPE_CHECKING:
    from mammal.tasks.prompts.row_prompts import RowPrompts

RADIUS, BITS = 2, 1024
"""With 1,024 bits, 10,000 molecules take 1.28 MB. Bits that two environments share change the similarity to the nearest
molecule by 0.009 on average (docs/trust.md)."""


def molecule_column(task: RowPrompts) -> str | None:
    """Returns the column of the molecule if prompts read one molecule and nothing else, else None.

    Args:
        task: the task.
    """
    read = task.identities
    return read[0] if len(read) == 1 and read[0] in task.molecules else None


def packed_fingerprint(smiles: str) -> np.ndarray | None:
    """Returns the bits of a molecule's Morgan fingerprint, uint8 [X], bit 0 first; None if the SMILES is not valid.

    Args:
        smiles: the molecule.
    """
    return _packed(parse_smiles(smiles))


def row_fingerprint(task: RowPrompts, row: Row, column: str) -> np.ndarray | None:
    """Returns the packed fingerprint of the molecule of a row, uint8 [X]; None if it has none, or an invalid one.

    It is that of the standardised molecule. The molecule that standardisation parses is used where that did not change
    it, because parsing takes as long as everything else here.

    Args:
        task: the task, which standardises molecules.
        row: the row.
        column: column of the molecule.
    """
    value = row.get(column, row.get(task.aliases.get(column, column)))
    if is_missing(value):
        return None
    try:
        written = as_text(value)
        canonical = canonical_or_none(written)
        text = task.text_if_any(row, column)
    except MammalError:  # encoding refuses the row with this reason
        return None
    if canonical is None or text is None:
        return None
    return _packed(molecule_just_read(written) if text in (canonical, written) else parse_smiles(text))


def with_fingerprints(examples: Sequence[Example], fingerprints: Mapping[object, np.ndarray | None]) -> list[Example]:
    """Returns the examples with the fingerprints of their molecules.

    Args:
        examples: encoded rows.
        fingerprints: row id -> result of `row_fingerprint`, with every id of the examples.
    """
    return [replace(example, fingerprint_X=fingerprints[example.row_id]) for example in examples]


def _packed(molecule: Any | None) -> np.ndarray | None:
    from rdkit.DataStructs import BitVectToBinaryText

    if molecule is None or not molecule.GetNumAtoms():
        return None
    return np.frombuffer(BitVectToBinaryText(_generator().GetFingerprint(molecule)), dtype=np.uint8)


@cache
def _generator() -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)

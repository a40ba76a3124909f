"""Metrics of generated text; NaN where one is undefined.

Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

import numpy as np

from mammal.tasks.answers import Answers


def exact_match(a: Answers) -> float:
    return float(np.mean([t == g for t, g in zip(a.truth_N, a.answer_N, strict=True)])) if len(a) else float("nan")


def molecule_match(a: Answers) -> float:
    """Share of answers that are the same molecule as the truth (equal canonical SMILES)."""
    from mammal.tasks.chemistry import canonical_or_none

    said = [canonical_or_none(text) for text in a.answer_N]
    same = [s is not None and s == canonical_or_none(t) for s, t in zip(said, a.truth_N, strict=True)]
    return float(np.mean(same)) if same else float("nan")


def validity(a: Answers) -> float:
    """Share of generated SMILES that RDKit parses."""
    from mammal.tasks.chemistry import canonical_or_none

    return float(np.mean([canonical_or_none(text) is not None for text in a.answer_N])) if len(a) else float("nan")


def uniqueness(a: Answers) -> float:
    """Distinct molecules over valid ones."""
    from mammal.tasks.chemistry import canonical_or_none

    valid = [c for text in a.answer_N if (c := canonical_or_none(text)) is not None]
    return len(set(valid)) / len(valid) if valid else float("nan")

"""Metrics of generated IUPAC names through OPSIN, row by row: float64 [N]. All NaN where OPSIN or Java is missing.

OPSIN is asked once for all names of an evaluation that are new, and what it said is kept: the figure, its interval and
the other contenders read the same answers.

Shapes: N rows that have both truth and answer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from mammal.tasks.metrics.answers import Answers

logger = logging.getLogger(__name__)

_MOST_KEPT = 1 << 18
_kept: dict[str, str | None] = {}
"""Name -> normalised SMILES of what OPSIN reads in it, None where it reads nothing.

Kept for the process, because a metric gets answers and nothing that could hold this, and each call of OPSIN starts
Java. It is a cache alone: without it every figure is the same. At most `_MOST_KEPT` names.
"""


def opsin_match(a: Answers) -> np.ndarray:
    """1 where OPSIN reads the answer as the molecule that was asked about, whatever the wording.

    The molecule is that of the row's prompt; where the prompt reads none, what OPSIN reads in the true name, NaN where
    it can't. A name that OPSIN can't read counts 0, the true one among them, so a perfect answer can stay below 1.
    """
    from mammal.tasks.molecules.chemistry import normalised_or_none

    asked = [None] * len(a) if a.asked_N is None else a.asked_N.tolist()
    unknown = [truth for truth, smiles in zip(a.truth_N, asked, strict=True) if smiles is None]
    read = structures([*a.answer_N, *unknown])
    if read is None:
        return np.full(len(a), np.nan)
    found = []
    for truth, said, smiles in zip(a.truth_N, a.answer_N, asked, strict=True):
        molecule = read[truth] if smiles is None else normalised_or_none(smiles)
        found.append(float("nan") if molecule is None else float(read[said] == molecule))
    return np.array(found, dtype=np.float64)


def opsin_validity(a: Answers) -> np.ndarray:
    """1 where OPSIN reads a molecule in the generated name."""
    read = structures(a.answer_N)
    if read is None:
        return np.full(len(a), np.nan)
    return np.array([read[said] is not None for said in a.answer_N], dtype=np.float64)


def structures(names: Iterable[str]) -> dict[str, str | None] | None:
    """Normalised SMILES of each name, None where OPSIN reads no molecule in it; None where OPSIN can't be asked."""
    from mammal.tasks.molecules.chemistry import normalised_or_none
    from mammal.tasks.names import opsin
    from mammal.tasks.names.structures import read_structures

    asked = list(dict.fromkeys(names))
    new = [name for name in asked if name not in _kept]
    if new:
        if (why := opsin.why_missing()) is not None:
            _tell_once(str(why))
            return None
        if len(_kept) + len(new) > _MOST_KEPT:
            _kept.clear()
            new = asked
        for name, (_, reading) in zip(new, read_structures(new), strict=True):
            _kept[name] = None if reading.smiles is None else normalised_or_none(reading.smiles)
    return {name: _kept[name] for name in asked}


@lru_cache(maxsize=1)
def _tell_once(why: str) -> None:
    """Logs a reason; the cache keeps the same reason from being logged for every metric."""
    logger.warning("metrics that read names are undefined: %s", why)

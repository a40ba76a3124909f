"""Metrics of generated IUPAC names with OPSIN, by row: float64 [N]. All NaN if OPSIN or Java is missing.

OPSIN is started once for all new names of an evaluation, and its results are cached: the metric, its interval and the
baselines use the same ones.

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
"""Cache of at most `_MOST_KEPT` names: name -> normalised SMILES of OPSIN's structure, None if OPSIN can't read it.

It is global because metrics have no other place for it, and each call of OPSIN starts Java. Results do not depend on
it.
"""


def opsin_match(a: Answers) -> np.ndarray:
    """1 if OPSIN reads the answer as the true molecule, for any wording of the name.

    The true molecule is that of the row's prompt. If the prompt has none, it is OPSIN's structure of the true name, and
    the row is NaN if OPSIN can't read that. A generated name that OPSIN can't read counts as 0, even if it equals the
    true name, so the metric of perfect answers can be below 1.
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
    """1 if OPSIN can read the generated name."""
    read = structures(a.answer_N)
    if read is None:
        return np.full(len(a), np.nan)
    return np.array([read[said] is not None for said in a.answer_N], dtype=np.float64)


def structures(names: Iterable[str]) -> dict[str, str | None] | None:
    """Returns the normalised SMILES of each name, None if OPSIN can't read it; None if OPSIN is not available."""
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

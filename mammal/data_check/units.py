"""Mixed units, logarithms among plain numbers, percent among fractions, flipped signs.

A hypothesis is a change of a number, such as dividing it by 1,000. It is only reported with evidence, and the evidence
is named:

    repeats       rows with equal inputs whose numbers agree only after the change
    neighbours    rows far from similar rows (robust z) that the change brings close to them
    two groups    a gap divides the numbers into two groups, and the change puts the smaller one into the range of the
                  larger one

Numbers that span orders of magnitude are compared as decimal logarithms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mammal.data_check.by_neighbours import Deviations, in_logarithms
from mammal.data_check.duplicates import groups_of, pairs_of, robust_sd
from mammal.data_check.findings import WARNING, Finding, FlaggedRow, counted, largest_first, verb

if TYPE_CHECKING:
    from mammal.data_check.checked_data import CheckedData
    from mammal.data_check.labels import Labels

FAR = 10.0
"""Least robust z-score of a row that a change is tried on."""
FEWEST = 3
"""Least number of rows that a hypothesis must explain."""
SHARE_OF_REPEATS, SHARE_OF_OUTLIERS = 0.25, 0.3
"""Least share of the contradicting repeats, and of the rows far from their neighbours, that it must explain."""
SMALLEST_GROUP, LARGEST_GROUP = 0.005, 0.45
"""Share of the rows that the smaller of two groups can have."""
GAP = 5.0
"""The gap between two groups is at least this multiple of the next largest gap between numbers near it."""


@dataclass(frozen=True)
class Hypothesis:
    """A mistake, and the change that corrects it.

    Attributes:
        kind: kind of the finding.
        what: what the rows would be, in words.
        corrected: array of numbers -> corrected numbers, NaN where the change is not possible.
        tolerance: relative difference up to which two repeats agree after the change.
        applies: whether a column of numbers can have the mistake.
        by_neighbours: whether the change is so large that similar rows and groups of numbers can be evidence.
    """

    kind: str
    what: str
    corrected: Callable[[np.ndarray], np.ndarray]
    tolerance: float = 0.1
    applies: Callable[[np.ndarray], bool] = lambda _: True
    by_neighbours: bool = True


def _times(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda numbers: numbers * factor


def _positive_log(offset: float, sign: float) -> Callable[[np.ndarray], np.ndarray]:
    """`offset + sign × log10(number)`, NaN for numbers of 0 or less."""
    return lambda numbers: offset + sign * np.log10(np.where(numbers > 0, numbers, np.nan))


def _power(offset: float, sign: float) -> Callable[[np.ndarray], np.ndarray]:
    """`10 ^ (sign × number + offset)`, NaN for numbers that are no usual logarithms."""
    return lambda numbers: 10.0 ** np.where(np.abs(numbers) <= 15, sign * numbers + offset, np.nan)


def _nonnegative(numbers: np.ndarray) -> bool:
    return bool(numbers.min() >= 0)


def _percentages(numbers: np.ndarray) -> bool:
    return bool(numbers.min() >= 0 and numbers.max() <= 100)


def _hypotheses() -> list[Hypothesis]:
    found = []
    for factor, units in ((1e3, "nM and µM, or mg and g"), (1e6, "nM and mM, or mg and kg"), (1e9, "nM and M")):
        for change, size in ((1 / factor, "too large"), (factor, "too small")):
            what = f"{size} by a factor of {factor:,.0f} (such as {units})"
            found.append(Hypothesis("mixed_units", what, _times(change), applies=_nonnegative))
    for change, what in ((0.01, "percent among fractions"), (100.0, "fractions among percentages")):
        found.append(Hypothesis("percent", what, _times(change), 0.05, _percentages))
    for offset, unit in ((9.0, "nM"), (6.0, "µM"), (0.0, "M")):
        name = f"-log10 of a number in {unit}" if unit != "M" else "-log10 of the number"
        found += [
            Hypothesis("mixed_logarithms", f"{name}, among plain numbers", _power(offset, -1.0), 0.15),
            Hypothesis("mixed_logarithms", f"plain numbers among values of {name}", _positive_log(offset, -1.0), 0.02),
        ]
    found += [
        Hypothesis("mixed_logarithms", "log10 of the number, among plain numbers", _power(0.0, 1.0), 0.15),
        Hypothesis("mixed_logarithms", "plain numbers among values of log10", _positive_log(0.0, 1.0), 0.02),
        Hypothesis("flipped_sign", "the number with the other sign", _times(-1.0), 0.02),
        Hypothesis("mixed_units", "K where others are °C", lambda n: n - 273.15, 0.01, by_neighbours=False),
        Hypothesis("mixed_units", "°C where others are K", lambda n: n + 273.15, 0.01, by_neighbours=False),
    ]
    return found


HYPOTHESES = _hypotheses()


def unit_findings(data: CheckedData, labels: Labels, k: int, near: Deviations | None) -> Iterator[Finding]:
    """Finds mistakes of units, logarithms and signs in one target of numbers.

    Args:
        data: the rows.
        labels: their labels.
        k: position of the target column.
        near: differences from neighbours; None: unknown.
    """
    number_N = labels.number_NK[:, k]
    known_N = ~np.isnan(number_N)
    if known_N.sum() < 10 or not np.ptp(number_N[known_N]):
        return
    evidence = [
        found
        for search in (_in_repeats, _near_others, _in_groups)
        for found in search(data, number_N, near)
        if found.hypothesis.applies(number_N[known_N])
    ]
    by_kind: dict[str, list[Evidence]] = {}
    for found in evidence:
        by_kind.setdefault(found.hypothesis.kind, []).append(found)
    for kind, several in by_kind.items():
        yield _finding(data, kind, labels.columns[k], number_N, several)


@dataclass(frozen=True)
class Evidence:
    """Rows that a hypothesis explains.

    Attributes:
        hypothesis: the hypothesis.
        rows: row, row it was compared with (None: a group), and words.
        words: what speaks for it, in words.
    """

    hypothesis: Hypothesis
    rows: Sequence[tuple[int, int | None, str]]
    words: str


def _finding(data: CheckedData, kind: str, column: str, number_N: np.ndarray, evidence: Sequence[Evidence]) -> Finding:
    best = max(evidence, key=lambda one: len(one.rows))
    agreeing = [one for one in evidence if one.hypothesis is best.hypothesis]
    rows: dict[int, FlaggedRow] = {}
    for one in agreeing:
        for row, other, words in one.rows:
            score = abs(float(number_N[row]))
            rows.setdefault(row, FlaggedRow(row, words, data.shown(row), other, score))
    spoken = "; ".join(one.words for one in agreeing)
    return Finding(
        kind,
        WARNING,
        len(rows),
        f"{counted(len(rows), 'row')} of {column} {verb(len(rows), 'look')} like {best.hypothesis.what}. "
        f"Evidence: {spoken}",
        "A few numbers on another scale dominate the loss and the scaling of all others.",
        "look up some of the rows in the source, then convert all of them to one unit",
        column,
        largest_first(list(rows.values())),
    )


def _agree(one: np.ndarray, other: np.ndarray, tolerance: float) -> np.ndarray:
    """Whether numbers are equal up to a relative tolerance, bool."""
    return np.abs(one - other) <= tolerance * np.maximum(np.abs(one), np.abs(other))


def _in_repeats(data: CheckedData, number_N: np.ndarray, near: Deviations | None) -> Iterator[Evidence]:
    """Rows with equal inputs whose numbers agree only after the change."""
    known_N = ~np.isnan(number_N)
    pairs_P2 = pairs_of(groups_of(data.keys()), known_N)
    if not len(pairs_P2):
        return
    first_P, second_P = number_N[pairs_P2[:, 0]], number_N[pairs_P2[:, 1]]
    spread = robust_sd(number_N[known_N])
    ratio_P = np.abs(np.log10(np.maximum(np.abs(first_P), 1e-300) / np.maximum(np.abs(second_P), 1e-300)))
    apart_P = (np.abs(first_P - second_P) > 0.5 * spread) | (ratio_P > 1)
    for hypothesis in HYPOTHESES:
        with np.errstate(over="ignore", invalid="ignore"):
            forward_P = _agree(hypothesis.corrected(second_P), first_P, hypothesis.tolerance)
            backward_P = _agree(hypothesis.corrected(first_P), second_P, hypothesis.tolerance)
        explained = np.flatnonzero(apart_P & (forward_P | backward_P))
        if len(explained) < FEWEST or len(explained) < SHARE_OF_REPEATS * apart_P.sum():
            continue
        rows = []
        for at in explained.tolist():
            wrong, right = pairs_P2[at][::-1] if forward_P[at] else pairs_P2[at]
            words = f"{number_N[wrong]:g}, the other row {number_N[right]:g}"
            rows.append((int(wrong), int(right), words))
        words = f"{len(explained):,} of {int(apart_P.sum()):,} contradicting repeats agree after the change"
        yield Evidence(hypothesis, rows, words)


def _near_others(data: CheckedData, number_N: np.ndarray, near: Deviations | None) -> Iterator[Evidence]:
    """Rows far from their neighbours that the change brings close to them."""
    if near is None:
        return
    far_D = np.abs(near.z_D) >= FAR
    if far_D.sum() < FEWEST:
        return
    for hypothesis in (one for one in HYPOTHESES if one.by_neighbours):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            changed_D = hypothesis.corrected(near.label_D)
            if near.log:
                z_D = (np.log10(changed_D) - np.log10(near.expected_D)) / near.spread_D
            else:
                z_D = (changed_D - near.expected_D) / near.spread_D
        explained = np.flatnonzero(far_D & (np.abs(z_D) <= 2))
        if len(explained) < FEWEST or len(explained) < SHARE_OF_OUTLIERS * far_D.sum():
            continue
        rows = [
            (
                int(near.row_D[at]),
                int(near.nearest_D[at]),
                f"{near.label_D[at]:g}, similar rows about {near.expected_D[at]:.3g}, changed {changed_D[at]:.3g}",
            )
            for at in explained.tolist()
        ]
        words = f"{len(explained):,} of {int(far_D.sum()):,} rows far from similar rows fit them after the change"
        yield Evidence(hypothesis, rows, words)


def _in_groups(data: CheckedData, number_N: np.ndarray, near: Deviations | None) -> Iterator[Evidence]:
    """Two groups of numbers, of which the change puts the smaller one into the range of the larger one."""
    known_M = np.flatnonzero(~np.isnan(number_N))
    for few, many in _two_groups(number_N[known_M]):
        if len(few) < FEWEST:
            continue
        small, large = number_N[known_M[few]], number_N[known_M[many]]
        low, high = np.percentile(large, [2.5, 97.5])
        for hypothesis in HYPOTHESES:
            if hypothesis.kind == "flipped_sign" or not hypothesis.by_neighbours:
                continue  # the two signs are two groups in many honest columns
            with np.errstate(over="ignore", invalid="ignore"):
                changed = hypothesis.corrected(small)
                untouched = hypothesis.corrected(large)
            if not np.mean((changed >= low) & (changed <= high)) >= 0.9 or not _same_shape(changed, large):
                continue
            if np.mean((untouched >= low) & (untouched <= high)) > 0.5:
                continue  # the change leaves the larger group where it is, so it explains nothing
            words = (
                f"a gap divides the numbers into {len(few):,} ({small.min():.4g} to {small.max():.4g}) and "
                f"{len(many):,} ({large.min():.4g} to {large.max():.4g}); the change puts the first into the range of "
                "the others"
            )
            shown = [f"{v:g}, changed {c:.3g}" for v, c in zip(small, changed, strict=True)]
            yield Evidence(hypothesis, list(zip(known_M[few].tolist(), [None] * len(few), shown, strict=True)), words)


def _two_groups(numbers: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of a smaller and a larger group that the largest gap divides, if the gap is wide enough.

    Positive numbers are divided by their logarithms, so that a gap is a ratio. The smaller group comes first.
    """
    order = np.argsort(numbers, kind="stable")
    scaled = np.log10(numbers[order]) if numbers.min() > 0 else numbers[order]
    fewest = max(FEWEST, int(SMALLEST_GROUP * len(numbers)))
    gaps = np.diff(scaled)[fewest - 1 : len(scaled) - fewest]
    if not len(gaps):
        return
    at = int(gaps.argmax()) + fewest - 1
    widest, others = float(gaps.max()), np.delete(gaps, gaps.argmax())
    wide_enough = 0.3 if numbers.min() > 0 else 2 * robust_sd(scaled)
    if widest < wide_enough or widest < GAP * (np.percentile(others, 99) if len(others) else 0.0):
        return
    below, above = order[: at + 1], order[at + 1 :]
    few, many = (below, above) if len(below) <= len(above) else (above, below)
    if len(few) <= LARGEST_GROUP * len(numbers):
        yield few, many


def _same_shape(changed: np.ndarray, large: np.ndarray) -> bool:
    """Whether the changed numbers spread roughly like the larger group: not more than three times as wide or narrow."""
    positive = bool(large.min() > 0 and changed.min() > 0 and in_logarithms(large))
    one, other = (np.log10(changed), np.log10(large)) if positive else (changed, large)
    narrow, wide = sorted([robust_sd(one), robust_sd(other)])
    return bool(narrow > 0 and wide / narrow < 3)

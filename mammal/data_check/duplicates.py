"""Rows that repeat another row: as written, after standardisation, and with labels that contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammal.data_check.findings import NOTE, WARNING, Finding, FlaggedRow, counted, largest_first, verb

if TYPE_CHECKING:
    from mammal.data_check.checked_data import CheckedData
    from mammal.data_check.labels import Labels

CONFLICT_SPREADS = 0.5
"""Numbers of one entity conflict if they differ by more than this many standard deviations of all labels."""


def groups_of(keys: Sequence[Hashable]) -> list[list[int]]:
    """Returns the positions of equal keys, for each key that occurs more than once. None is no key."""
    found = defaultdict(list)
    for row, key in enumerate(keys):
        if key is not None:
            found[key].append(row)
    return [rows for rows in found.values() if len(rows) > 1]


def pairs_of(groups: Sequence[Sequence[int]], known_N: np.ndarray) -> np.ndarray:
    """Returns pairs of rows of the same group, int64 [pairs, 2]: each row with the first of its group that is known.

    Args:
        groups: rows of each group.
        known_N: whether a row has a label, bool [N].
    """
    pairs = []
    for group in groups:
        rows = [row for row in group if known_N[row]]
        pairs += [(rows[0], row) for row in rows[1:]]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def robust_sd(values: np.ndarray) -> float:
    """Returns the standard deviation estimated from the quartiles, or the usual one if the quartiles are equal."""
    low, high = np.percentile(values, [25, 75])
    return float((high - low) / 1.349) or float(np.std(values))


def label_spread(values: np.ndarray) -> float:
    """Returns the standard deviation estimated from quartiles or from the 5th and 95th percentiles, if that is larger.

    Quartiles alone are too near to each other if most numbers are equal.
    """
    low, high = np.percentile(values, [5, 95])
    return max(robust_sd(values), float(high - low) / 3.29)


def duplicate_findings(data: CheckedData, labels: Labels | None) -> Iterator[Finding]:
    """Finds exact repeats, repeats after standardisation, stereoisomers, and conflicting labels of one entity."""
    if not data.kinds:
        return
    exact = groups_of([text if data.inputs[row] is not None else None for row, text in enumerate(data.text_N)])
    same = groups_of(data.keys())
    yield from _repeated(data, labels, exact)
    yield from _same_entity(data, same, exact)
    if labels is not None:
        yield from _conflicts(data, labels, same)
    yield from _stereoisomers(data, labels)


def _repeated(data: CheckedData, labels: Labels | None, exact: Sequence[Sequence[int]]) -> Iterator[Finding]:
    """Rows that are written like an earlier row, and have its labels."""
    rows = []
    for group in exact:
        first: dict[Hashable, int] = {}
        for row in group:
            label = () if labels is None else _label_key(labels, row)
            earlier = first.setdefault((*label, *_other_text(data, row, labels)), row)
            if earlier != row:
                rows.append(FlaggedRow(row, "inputs and labels are those of the other row", data.shown(row), earlier))
    if rows:
        yield Finding(
            "repeated_row",
            NOTE,
            len(rows),
            f"{counted(len(rows), 'row')} {verb(len(rows), 'repeat')} an earlier row, inputs and labels",
            "A repeated row counts twice in the loss. If the copies are in different parts, it leaks.",
            "`data.deduplicate: true` leaves the copies out",
            rows=rows,
        )


def _other_text(data: CheckedData, row: int, labels: Labels | None) -> tuple[str, ...]:
    """The targets of a task without classes or numbers, as text: two answers to one prompt are not a repeat."""
    return () if labels is not None else tuple(data.shown(row, data.task.target_columns).values())


def _label_key(labels: Labels, row: int) -> tuple[object, ...]:
    numbers = np.nan_to_num(labels.number_NK[row], nan=-np.inf)
    return (*labels.index_NK[row].tolist(), *numbers.tolist())


def _same_entity(data: CheckedData, same: Sequence[Sequence[int]], exact: Sequence[Sequence[int]]) -> Iterator[Finding]:
    """Rows that are written differently and have the same inputs after standardisation."""
    written = {row: number for number, group in enumerate(exact) for row in group}
    rows = []
    for group in same:
        spellings: dict[object, int] = {}
        for row in group:
            spellings.setdefault(written.get(row, ("alone", row)), row)
        first, *others = spellings.values()
        rows += [FlaggedRow(row, "the same inputs, written differently", data.shown(row), first) for row in others]
    if rows:
        yield Finding(
            "same_entity",
            NOTE,
            len(rows),
            f"{counted(len(rows), 'row')} {verb(len(rows), 'have')} the inputs of another row, written differently",
            "They are one entity after standardisation (molecules: equal InChIKey). A comparison of texts misses them.",
            "merge the rows, or keep them in one part (`split: molecule`)",
            rows=rows,
        )


def _conflicts(data: CheckedData, labels: Labels, same: Sequence[Sequence[int]]) -> Iterator[Finding]:
    for k, column in enumerate(labels.columns):
        if labels.classes:
            yield from _class_conflicts(data, labels, same, k, column)
        else:
            yield from _number_conflicts(data, labels, same, k, column)


def _class_conflicts(
    data: CheckedData, labels: Labels, same: Sequence[Sequence[int]], k: int, column: str
) -> Iterator[Finding]:
    index_N, rows, entities, repeated = labels.index_NK[:, k], [], 0, 0
    for group in same:
        known = [row for row in group if index_N[row] >= 0]
        repeated += len(known) > 1
        if len({int(index_N[row]) for row in known}) < 2:
            continue
        entities += 1
        first = known[0]
        other = next(row for row in known if index_N[row] != index_N[first])
        for row in known:
            against = first if index_N[row] != index_N[first] else other
            detail = f"{labels.classes[index_N[row]]}, the other row {labels.classes[index_N[against]]}"
            rows.append(FlaggedRow(row, detail, data.shown(row), against))
    if entities:
        yield Finding(
            "conflicting_labels",
            WARNING,
            len(rows),
            f"{counted(len(rows), 'row')} of {column} {verb(len(rows), 'contradict')} another row with the same "
            "inputs: "
            f"{entities:,} of {repeated:,} repeated entities have several labels",
            "No model can answer both. The share of such rows limits the accuracy that can be reached.",
            "go back to the source, and keep the label that was measured; otherwise remove all of these rows",
            column,
            rows,
            {"entities": entities, "repeated entities": repeated},
        )


def _number_conflicts(
    data: CheckedData, labels: Labels, same: Sequence[Sequence[int]], k: int, column: str
) -> Iterator[Finding]:
    number_N = labels.number_NK[:, k]
    known_N = ~np.isnan(number_N)
    pairs_P2 = pairs_of(same, known_N)
    if not len(pairs_P2) or known_N.sum() < 3:
        return
    spread = label_spread(number_N[known_N])
    if not spread:
        return
    apart_P = np.abs(number_N[pairs_P2[:, 0]] - number_N[pairs_P2[:, 1]]) / spread
    far = np.flatnonzero(apart_P > CONFLICT_SPREADS)
    if not len(far):
        return
    rows = []
    for at in far.tolist():
        first, row = pairs_P2[at].tolist()
        detail = f"{number_N[row]:g}, the other row {number_N[first]:g}: {apart_P[at]:.1f} standard deviations"
        rows.append(FlaggedRow(row, detail, data.shown(row), first, float(apart_P[at])))
    median, worst = float(np.median(apart_P)), float(apart_P.max())
    yield Finding(
        "conflicting_labels",
        WARNING if len(far) > 0.1 * len(pairs_P2) or worst > 2 else NOTE,
        len(far),
        f"{counted(len(far), 'row')} of {column} {verb(len(far), 'differ')} from another row with the same "
        "inputs by more than "
        f"{CONFLICT_SPREADS} standard deviations ({len(far):,} of {len(pairs_P2):,} repeated rows; median difference "
        f"of all {median:.2f}, largest {worst:.1f})",
        "The median difference is the reproducibility of the measurement: errors below it can't be reached.",
        "look at the largest ones for slips and other units; replace the rest by their median",
        column,
        largest_first(rows),
        {"median difference": median, "largest difference": worst, "repeated rows": len(pairs_P2)},
    )


def _stereoisomers(data: CheckedData, labels: Labels | None) -> Iterator[Finding]:
    """Molecules that differ only in stereo, isotopes or protonation from another row."""
    if "molecule" not in data.kinds.values():
        return
    keys = data.keys()
    rows, conflicts = [], 0
    for group in groups_of(data.keys(connectivity=True)):
        first: dict[Hashable, int] = {}
        for row in group:
            first.setdefault(keys[row], row)
        one, *others = first.values()
        for row in others:
            differ = labels is not None and _label_key(labels, row) != _label_key(labels, one)
            conflicts += differ
            theirs = ", ".join(f"{name} {text}" for name, text in data.shown(one, data.task.target_columns).items())
            detail = "other stereo, isotopes or protons" + (f"; the other row has {theirs}" if differ else "")
            rows.append(FlaggedRow(row, detail, data.shown(row), one, float(differ)))
    if rows:
        yield Finding(
            "same_connectivity",
            NOTE,
            len(rows),
            f"{counted(len(rows), 'row')} {verb(len(rows), 'have')} the atoms and bonds of another row with other "
            "stereo marks, isotopes or "
            f"protons ({conflicts:,} with another label)",
            "Stereoisomers can differ, but often one row only lacks the marks. In different parts, they nearly leak.",
            "keep them in one part: `split: scaffold`, or a group split over the first block of the InChIKey",
            rows=largest_first(rows),
            figures={"with another label": conflicts},
        )

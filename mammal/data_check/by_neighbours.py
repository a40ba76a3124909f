"""Compares each label with the labels of the most similar training entities, and lists the rows that differ most.

For numbers, the expected value is the median of up to five neighbours. A deviation counts in units of the usual
deviation of this data set, or of the spread of these neighbours if that is larger (robust z-score). Numbers that are
positive and span orders of magnitude are compared as decimal logarithms.

Shapes: E entities, Q queries, K neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mammal.data_check.duplicates import robust_sd
from mammal.data_check.findings import NOTE, Finding, FlaggedRow, counted, largest_first, verb

if TYPE_CHECKING:
    from mammal.data_check.checked_data import CheckedData
    from mammal.data_check.labels import Labels
    from mammal.data_check.neighbours import Neighbours

SIMILAR = {"molecule": 0.4, "protein": 0.3, "dna": 0.3, "sequence": 0.3}
"""Least similarity of a neighbour whose label is compared."""
FEWEST, MOST = 3, 5
"""Number of neighbours that are needed, and that are used."""
OUTLIER = 7.0
"""Least robust z-score that is reported."""
FEWEST_COMPARED = 30
"""With fewer comparable rows, the usual deviation is not known well enough."""
SPAN = 30.0
"""Positive numbers are compared as logarithms if their 95th percentile is more than this multiple of the 5th."""
CLASS_SIMILAR, CLASS_FEWEST = {"molecule": 0.6, "protein": 0.5, "dna": 0.5, "sequence": 0.5}, 4
"""For classes: least similarity of a neighbour, and least number of them; all must have another label."""


@dataclass(frozen=True)
class Deviations:
    """How much numbers differ from those of their neighbours.

    Attributes:
        row_D: the compared rows, int64 [D]; one for each label of an entity with enough neighbours.
        label_D: their numbers, float64.
        expected_D: median of the neighbours' numbers, float64.
        z_D: robust z-score of the difference, float64.
        spread_D: standard deviation that the z-score counts in, in decimal logarithms if `log`.
        log: whether differences are those of decimal logarithms.
        nearest_D: the most similar row of each, int64.
        similarity_D: similarity to it, float64.
    """

    row_D: np.ndarray
    label_D: np.ndarray
    expected_D: np.ndarray
    z_D: np.ndarray
    spread_D: np.ndarray
    log: bool
    nearest_D: np.ndarray
    similarity_D: np.ndarray


def in_logarithms(number_N: np.ndarray) -> bool:
    """Whether numbers are positive and span so many orders of magnitude that their logarithms are compared."""
    known_N = number_N[~np.isnan(number_N)]
    if len(known_N) < 2 or known_N.min() <= 0:
        return False
    low, high = np.percentile(known_N, [5, 95])
    return bool(high / low > SPAN)


def deviations(data: CheckedData, labels: Labels, k: int, near: Neighbours) -> Deviations | None:
    """Compares the numbers of one target with those of neighbours.

    Args:
        data: the rows.
        labels: their labels.
        k: position of the target column.
        near: the neighbours of entities.

    Returns:
        The deviations. None if too few rows have enough similar neighbours with a number.
    """
    number_N = labels.number_NK[:, k]
    log = in_logarithms(number_N)
    scaled_N = np.log10(number_N) if log else number_N
    train_N = data.part_N == "train"
    entity_E = np.full(len(near.entities.rows), np.nan)
    for entity, rows in enumerate(near.entities.rows):
        known = [row for row in rows if train_N[row] and not np.isnan(scaled_N[row])]
        if known:
            entity_E[entity] = np.median(scaled_N[known])
    found = _compared(scaled_N, entity_E, near, least_similarity(data, SIMILAR))
    if len(found) < FEWEST_COMPARED:
        return None
    row_D, expected_D, local_D, nearest_D, similarity_D = map(np.array, zip(*found, strict=True))
    residual_D = scaled_N[row_D] - expected_D
    usual = robust_sd(residual_D)
    if not usual:
        return None
    spread_D = np.maximum(usual, local_D)
    expected = 10.0**expected_D if log else expected_D
    z_D = residual_D / spread_D
    return Deviations(row_D, number_N[row_D], expected, z_D, spread_D, log, nearest_D, similarity_D)


def least_similarity(data: CheckedData, by_kind: dict[str, float]) -> float:
    """Returns the least similarity of neighbours for the input columns of a task."""
    return min(by_kind[data.kinds[column]] for column in data.entities)


def _compared(
    scaled_N: np.ndarray, entity_E: np.ndarray, near: Neighbours, least: float
) -> list[tuple[int, float, float, int, float]]:
    """Row, expected number, spread of the neighbours, nearest row and its similarity, for each comparable row."""
    found = []
    for place, entity in enumerate(near.query_Q.tolist()):
        similar = near.similarity_QK[place] >= least
        neighbours = near.near_QK[place][similar]
        neighbours = neighbours[~np.isnan(entity_E[neighbours])][:MOST]
        if len(neighbours) < FEWEST:
            continue
        values = entity_E[neighbours]
        spread = float(1.4826 * np.median(np.abs(values - np.median(values))))
        nearest = near.entities.rows[neighbours[0]][0]
        for row in near.entities.rows[entity]:
            if not np.isnan(scaled_N[row]):
                middle, similarity = float(np.median(values)), float(near.similarity_QK[place][0])
                found.append((row, middle, spread, nearest, similarity))
    return found


def number_outliers(data: CheckedData, column: str, found: Deviations) -> Iterator[Finding]:
    """Lists the rows whose number is far from those of similar rows."""
    far = np.flatnonzero(np.abs(found.z_D) >= OUTLIER)
    if not len(far):
        return
    rows = []
    for at in far.tolist():
        row, z = int(found.row_D[at]), float(found.z_D[at])
        detail = f"{found.label_D[at]:g}, similar rows about {found.expected_D[at]:.3g} (z = {z:+.1f})"
        rows.append(FlaggedRow(row, detail, data.shown(row), int(found.nearest_D[at]), abs(z)))
    scale = "decimal logarithms" if found.log else "numbers"
    yield Finding(
        "outlier",
        NOTE,
        len(rows),
        f"{counted(len(rows), 'row')} of {len(found.row_D):,} compared {verb(len(rows), 'have')} a {column} far "
        "from those of similar rows "
        f"({scale}, robust z of {OUTLIER:g} or more)",
        "Either the label is wrong, or a small change of the structure has a large effect. Only the source can tell.",
        "look at the rows in the order of the list",
        column,
        largest_first(rows),
        {"compared rows": len(found.row_D), "usual deviation": float(np.median(found.spread_D))},
    )


def class_outliers(data: CheckedData, labels: Labels, k: int, near: Neighbours) -> Iterator[Finding]:
    """Lists the rows whose class none of several close neighbours has."""
    index_N, column = labels.index_NK[:, k], labels.columns[k]
    train_N = data.part_N == "train"
    entity_E = np.full(len(near.entities.rows), -1)
    for entity, members in enumerate(near.entities.rows):
        known = {int(index_N[row]) for row in members if train_N[row] and index_N[row] >= 0}
        entity_E[entity] = known.pop() if len(known) == 1 else -1
    least, rows, compared = least_similarity(data, CLASS_SIMILAR), [], 0
    for place, entity in enumerate(near.query_Q.tolist()):
        neighbours = near.near_QK[place][near.similarity_QK[place] >= least]
        neighbours = neighbours[entity_E[neighbours] >= 0]
        classes = set(entity_E[neighbours].tolist())
        if len(neighbours) < CLASS_FEWEST:
            continue
        for row in near.entities.rows[entity]:
            compared += int(index_N[row] >= 0)
            if index_N[row] >= 0 and len(classes) == 1 and index_N[row] not in classes:
                theirs = labels.classes[int(min(classes))]
                detail = f"{labels.classes[int(index_N[row])]}, all {len(neighbours)} similar rows {theirs}"
                nearest = near.entities.rows[neighbours[0]][0]
                rows.append(FlaggedRow(row, detail, data.shown(row), nearest, float(len(neighbours))))
    if rows:
        yield Finding(
            "outlier",
            NOTE,
            len(rows),
            f"{counted(len(rows), 'row')} of {compared:,} compared {verb(len(rows), 'have')} another {column} "
            f"than all {CLASS_FEWEST} or "
            f"more similar rows (similarity {least:g} or more)",
            "Either the label is wrong, or a small change of the structure has a large effect. Only the source can "
            "tell.",
            "look at the rows in the order of the list",
            column,
            largest_first(rows),
            {"compared rows": compared},
        )

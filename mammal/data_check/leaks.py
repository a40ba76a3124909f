"""Held-out rows that training rows give away: equal entities, near-duplicates, known sides of a pair.

`mammal.tasks.splits.leaks` counts exact leaks when a split is made. Here they are found after a stronger
standardisation (InChIKey), listed row by row, together with near-duplicates.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammal.data_check.findings import ERROR, NOTE, WARNING, Finding, FlaggedRow, counted, percent, verb
from mammal.data_check.neighbours import NEAR_IDENTITY, NEAR_MOLECULE, is_near_duplicate

if TYPE_CHECKING:
    from mammal.data_check.checked_data import CheckedData
    from mammal.data_check.neighbours import Neighbours

HELD_OUT = ("test", "valid")
MANY = 0.1
"""Share of leaking rows from which the figures of a part are misleading, so that the finding is an error."""
MANY_NEAR = 0.05
"""Share of near-duplicates from which the finding is a warning."""


def leak_findings(data: CheckedData, near: Neighbours | None) -> Iterator[Finding]:
    """Finds leaks between training rows and each held-out part.

    Args:
        data: the rows.
        near: the most similar training entities; None: unknown.
    """
    if data.record is None:
        yield from _no_split(data)
        return
    train = np.flatnonzero(data.part_N == "train").tolist()
    for part in HELD_OUT:
        rows = [row for row in np.flatnonzero(data.part_N == part).tolist() if data.inputs[row] is not None]
        if not rows:
            continue
        leaking = _shared(data.keys(), train, rows)
        if leaking:
            yield _exact(data, part, leaking, len(rows))
        if len(data.entities) > 1:
            yield from _sides(data, part, train, rows)
        if near is not None:
            yield from _near(data, part, rows, set(leaking), near)


def _no_split(data: CheckedData) -> Iterator[Finding]:
    if data.no_split:
        yield Finding(
            "no_split",
            WARNING,
            1,
            f"the split of the task can't be made for this table, so leaks are not searched: {data.no_split}",
            "Training would stop with this error.",
            "add the column, or choose another split: `task.data.split=random`",
        )


def _shared(keys: Sequence[Hashable], train: Sequence[int], rows: Sequence[int]) -> dict[int, int]:
    """Rows whose key is that of a training row -> the first such row."""
    first: dict[Hashable, int] = {}
    for row in train:
        if keys[row] is not None:
            first.setdefault(keys[row], row)
    return {row: first[keys[row]] for row in rows if keys[row] in first}


def _exact(data: CheckedData, part: str, leaking: dict[int, int], count: int) -> Finding:
    share = len(leaking) / count
    rows = [
        FlaggedRow(row, f"{part} row; the other is a training row", data.shown(row), to) for row, to in leaking.items()
    ]
    return Finding(
        "leak",
        ERROR if share >= MANY else WARNING,
        len(leaking),
        f"{counted(len(leaking), 'row')} of {part} ({percent(share)}) {verb(len(leaking), 'have')} the inputs of a "
        "training row after standardisation",
        f"The model has seen the answer, so the figures on {part} are too good.",
        "`data.leakage: drop` leaves out those with equal normalised SMILES or text; `split: molecule`, `scaffold`, "
        "`cluster` or `cold` make none",
        rows=rows,
        figures={"share": share},
    )


def _sides(data: CheckedData, part: str, train: Sequence[int], rows: Sequence[int]) -> Iterator[Finding]:
    """The share of pairs of which one side is known from training, for each side."""
    shares, new = {}, np.ones(len(rows), dtype=bool)
    for column in data.entities:
        shared = _shared([key or None for key in data.column_keys(column)], train, rows)
        shares[column] = len(shared) / len(rows)
        new &= np.array([row not in shared for row in rows])
    words = ", ".join(f"{column} {percent(share)}" for column, share in shares.items())
    if not any(shares.values()):
        return
    known = int((~new).sum())
    yield Finding(
        "known_side",
        NOTE,
        known,
        f"{counted(known, 'row')} of {part} {verb(known, 'have')} a side that also occurs in training rows: {words}; "
        f"{percent(float(new.mean()))} have no known side",
        "Such figures hold for new pairs of known partners, not for new partners.",
        "`split: cold` keeps the partners of a part out of the others",
        figures={f"share of {column}": share for column, share in shares.items()},
    )


def _near(data: CheckedData, part: str, rows: Sequence[int], exact: set[int], near: Neighbours) -> Iterator[Finding]:
    """Held-out rows with a nearly equal training row, besides the equal ones."""
    place = {entity: at for at, entity in enumerate(near.query_Q.tolist())}
    found, compared = [], 0
    for row in rows:
        entity = near.entities.of_row[row]
        if row in exact or entity not in place:
            continue
        compared += 1
        at = place[entity]
        if near.similarity_QK[at, 0] < CANDIDATE:
            continue
        other = near.entities.rows[near.near_QK[at, 0]][0]
        other = next((r for r in near.entities.rows[near.near_QK[at, 0]] if data.part_N[r] == "train"), other)
        if all(is_near_duplicate(data, row, other, column) for column in near.columns):
            similarity = float(near.similarity_QK[at, 0])
            detail = f"{part} row; similarity {similarity:.2f} to the training row"
            found.append(FlaggedRow(row, detail, data.shown(row), other, similarity))
    if not found:
        return
    share = len(found) / max(compared, 1)
    yield Finding(
        "near_leak",
        WARNING if share >= MANY_NEAR else NOTE,
        len(found),
        f"{counted(len(found), 'row')} of {part} ({percent(share)} of {compared:,} compared) {verb(len(found), 'are')} "
        f"nearly equal to a training row (Tanimoto similarity of {NEAR_MOLECULE} or more, sequence identity of "
        f"{NEAR_IDENTITY} or more)",
        f"The figures on {part} are for interpolation between close analogues.",
        "`split: scaffold` for molecules, `split: cluster` for sequences",
        rows=found,
        figures={"share": share},
    )


CANDIDATE = 0.3
"""Least similarity by hashed fingerprints for a closer look."""

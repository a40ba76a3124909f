"""Counts held-out rows that the model, or its base, was pretrained on: their figures can be too good.

Shapes: N texts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.errors import DataError
from mammal.tasks.tables.cells import as_text, cell, is_missing
from mammal.tasks.tables.spread_rows import spread_rows

if TYPE_CHECKING:
    from mammal.tasks.pretraining.pretraining_rows import PretrainingRows
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

MOST_ROWS = 10_000
"""Largest number of rows of a part that are compared, evenly spread."""

UNLIKELY = 1e-3
"""Texts were seen, and not found by chance, if chance finds as many with less than this probability."""

REMEDY = (
    "evaluate a task of the catalogue with its own split (train on your file with task.data.split=like:TASK), "
    "or rows that were never public, such as those of your lab"
)


@dataclass(frozen=True)
class SeenRows:
    """Rows of a part with a molecule, protein or DNA that the model was pretrained on.

    Attributes:
        rows: number of rows that were compared.
        seen: number of them with such a text.
        by_chance: number of them that the filter is expected to report if none was seen.
        more: whether more texts were found than chance explains.
        columns: column -> number of rows whose text was found; columns without any are left out.
    """

    rows: int
    seen: int
    by_chance: float
    more: bool
    columns: Mapping[str, int] = field(default_factory=dict)

    def sentence(self, part: str) -> str:
        """Returns the counts in words.

        Args:
            part: name of the part.
        """
        found = ", ".join(f"{column} in {count:,}" for column, count in self.columns.items())
        chance = f"{self.by_chance:,.0f}" if self.by_chance >= 1 else "less than one"
        return (
            f"{self.seen:,} of {self.rows:,} {part} rows have a molecule or sequence of the pretraining corpus"
            f"{f' ({found})' if found else ''}; by chance, {chance} would be found"
        )


def check_pretraining(
    task: Task, rows: Mapping[str, Sequence[Row]], known: PretrainingRows, parts: Sequence[str]
) -> dict[str, SeenRows]:
    """Counts the rows that a model was pretrained on, and warns of the parts that have more of them than by chance.

    Args:
        task: the task.
        rows: name of a part -> its rows. Packed rows, which have no texts, are not compared.
        known: what the model, or the model that the training starts from, was pretrained on.
        parts: parts that are compared.

    Returns:
        The counts by part, for the parts that could be compared.
    """
    counts = {part: seen_rows(task, rows.get(part, ()), known) for part in parts}
    found = {part: one for part, one in counts.items() if one is not None}
    for part, one in found.items():
        if one.more:
            what = "their figures can be too good"
            logger.warning("%s: %s, so %s; %s", task.name, one.sentence(part), what, REMEDY)
    return found


def seen_rows(task: Task, rows: Sequence[Row], known: PretrainingRows) -> SeenRows | None:
    """Counts rows with a text that is among pretraining rows. Columns of the prompt and of the target are compared.

    Args:
        task: the task.
        rows: rows of one part. If there are more than `MOST_ROWS`, evenly spread ones are compared.
        known: filters of pretraining rows.

    Returns:
        The counts; None if there are no rows, or the filters contain nothing of what the task reads.
    """
    from mammal.tasks.pretraining.columns import family_columns

    compared = {
        family: columns
        for family, columns in family_columns(task.config).items()
        if family in known.families and columns
    }
    if not rows or not compared:
        return None
    places = spread_rows(len(rows), MOST_ROWS)
    picked = [rows[place] for place in places.tolist()]
    counts: dict[str, int] = {}
    seen_N, chance_N, more = np.zeros(len(picked), dtype=bool), np.ones(len(picked)), False
    for family, columns in compared.items():
        texts = {column: [_text(row, column, task) for row in picked] for column in columns}
        found = _found({text for several in texts.values() for text in several if text}, family, known)
        rate = known.rate(family)
        more |= _unlikely(found, rate)
        different = [len({found[text][0] for text in row if text} - {""}) for row in zip(*texts.values(), strict=True)]
        chance_N *= (1 - rate) ** np.array(different)
        for column, several in texts.items():
            in_column_N = np.array([bool(text) and found[text][1] for text in several])
            seen_N |= in_column_N
            counts |= {column: int(in_column_N.sum())} if in_column_N.any() else {}
    return SeenRows(len(picked), int(seen_N.sum()), float((1 - chance_N).sum()), bool(more), counts)


def _text(row: Row, column: str, task: Task) -> str:
    try:
        value = cell(row, column, task.aliases)
    except DataError:  # a molecule can be given by another column, such as its name
        return ""
    return "" if is_missing(value) else as_text(value)


def _found(texts: set[str], family: str, known: PretrainingRows) -> dict[str, tuple[str, bool]]:
    """The key of each text, and whether it is among the pretraining rows."""
    from mammal.tasks.pretraining.cleaning import keys_of

    ordered = sorted(texts)
    keys = keys_of(ordered, family)
    return dict(zip(ordered, zip(keys, known.seen_keys(keys, family).tolist(), strict=True), strict=True))


def _unlikely(found: Mapping[str, tuple[str, bool]], rate: float) -> bool:
    """Whether more different keys were found than chance explains."""
    from scipy.special import bdtrc

    by_key = {key: is_seen for key, is_seen in found.values() if key}
    seen = sum(by_key.values())
    return seen > 0 and float(bdtrc(seen - 1, len(by_key), rate)) < UNLIKELY

"""Answers whose bootstrap resamples distinct inputs: rows that read the same are one observation, not several."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.metrics.answers import Answers
from mammal.tasks.prompts.columns import equal_sides
from mammal.tasks.tables.cells import Row
from mammal.tokenization.errors import MammalError

if TYPE_CHECKING:
    from mammal.tasks.prompts.row_prompts import RowPrompts


def over_distinct_inputs(task: RowPrompts, answers: Mapping[str, Answers], rows: Sequence[Row]) -> dict[str, Answers]:
    """The same answers, with rows of equal inputs under one number, so that the bootstrap draws them together.

    Inputs are compared as leaks are: molecules by their normalised form, a pair of one entity in either order.

    Args:
        task: whose prompts read the rows.
        answers: target column -> truth and answer; their row numbers count `rows`.
        rows: every judged row.
    """
    first_N = first_of_equal_inputs(task, rows)
    return {column: replace(a, rows_N=first_N[a.numbers_N]) for column, a in answers.items()}


def first_of_equal_inputs(task: RowPrompts, rows: Sequence[Row]) -> np.ndarray:
    """For each row the number of the first row that reads the same, int64 [N]; its own for rows that can't be read."""
    from mammal.tasks.molecules.chemistry import normalised_or_none

    ordered = equal_sides(task.template) is None
    seen: dict[Hashable, int] = {}
    first_N = np.arange(len(rows), dtype=np.int64)
    for number, row in enumerate(rows):
        try:
            inputs = task.inputs(row)
        except MammalError:
            continue
        texts = [(normalised_or_none(text) or text) if c in task.molecules else text for c, text in inputs.items()]
        if texts:
            first_N[number] = seen.setdefault(tuple(texts if ordered else sorted(texts)), number)
    return first_N

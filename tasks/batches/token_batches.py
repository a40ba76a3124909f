"""Encoding of rows, with an error for each row that can't be encoded, and batches of about equal cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mammal.tasks.batches.example import Example
from mammal.tasks.batches.row_examples import KnownInputs
from mammal.tasks.tables.cells import Row
from mammal.tasks.task import Task
from mammal.tokenization.errors import MammalError

RowError = tuple[object, str]
"""A row's id and the reason why it can't be encoded."""


def encode_rows(
    task: Task,
    rows: Sequence[Row],
    row_ids: Sequence[object] | None = None,
    *,
    target: bool = False,
    judged: bool = False,
    drawn: bool = False,
    withheld: bool = False,
    inputs: KnownInputs | None = None,
) -> tuple[list[Example], list[RowError]]:
    """Encodes rows. Each row is either in the examples or in the errors; both are in the order of the rows.

    Args:
        task: the task.
        rows: mappings with the columns of the task.
        row_ids: names of the rows. Default: 0, 1, 2, ….
        target: add what the loss needs, and leave out what it does not need.
        judged: with `target`: keep everything that `Task.decode` reads.
        drawn: show what this epoch of training samples for each row (views, wordings, conditions).
        withheld: write no condition (`mammal.tasks.prompts.conditions`).
        inputs: encoded prompts of other tasks, as for `Task.encode_prepared`.

    Returns:
        The examples, and (row id, reason) for each row that can't be encoded.
    """
    ids = list(range(len(rows))) if row_ids is None else list(row_ids)
    rendered, errors = [], {}
    for position, (row, row_id) in enumerate(zip(rows, ids, strict=True)):
        try:
            drawn_for = row_id if drawn else None
            prompt = task.render_for_encoding(row, target=target, drawn_for=drawn_for, withheld=withheld)
            rendered.append((position, (row_id, row, prompt)))
        except MammalError as error:
            errors[position] = str(error)
    how: dict[str, Any] = {"target": target, "judged": judged, "inputs": inputs}
    try:
        examples = task.encode_prepared([item for _, item in rendered], **how)
    except MammalError:
        examples = []
        for position, item in rendered:
            try:
                examples += task.encode_prepared([item], **how)
            except MammalError as error:
                errors[position] = str(error)
    return examples, [(ids[position], errors[position]) for position in sorted(errors)]


def token_batches(
    lengths: Sequence[int],
    budget: int,
    *,
    max_rows: int = 256,
    window: int = 4096,
    seed: int | None = None,
) -> list[list[int]]:
    """Groups rows into batches of at most `budget` tokens.

    The model packs rows, so only real tokens count. Rows of a window are sorted by length, because attention pads
    within a batch. A row that is longer than the budget is a batch of its own.

    Args:
        lengths: tokens of each row.
        budget: maximum number of tokens of a batch.
        max_rows: maximum number of rows of a batch.
        window: rows that are sorted together. A stream that is read in windows of this size gives the same batches.
        seed: training: seed for shuffling rows before batching, and batches after it. None: windows stay in order, for
            inference.

    Returns:
        Row numbers of each batch.
    """
    order = np.arange(len(lengths)) if seed is None else np.random.default_rng(seed).permutation(len(lengths))
    tokens = np.asarray(lengths, dtype=np.int64)
    batches: list[list[int]] = []
    for start in range(0, len(order), window):
        rows = order[start : start + window]
        batches += _cut(rows[np.argsort(tokens[rows], kind="stable")], tokens, budget, max_rows)
    if seed is not None:
        np.random.default_rng([seed, 1]).shuffle(batches)
    return batches


def _cut(rows: np.ndarray, tokens: np.ndarray, budget: int, max_rows: int) -> list[list[int]]:
    batches: list[list[int]] = []
    current: list[int] = []
    used = 0
    for row in rows.tolist():
        if current and (used + tokens[row] > budget or len(current) == max_rows):
            batches.append(current)
            current, used = [], 0
        current.append(row)
        used += int(tokens[row])
    return [*batches, current] if current else batches

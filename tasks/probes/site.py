"""The site of a variant in an encoded prompt: the tokens around the first variant that is written in place.

A probe reads the states of SITE tokens there: FLANK tokens before the variant, its first token, and FLANK tokens after
its last one. A substitution such as `[A/G]` is one token, so these are SITE neighbouring tokens. An insertion, a
deletion or several alternates are written as several tokens, of which only the first is read; the tokens on both sides
keep their distance from the variant. Beyond an end of the sequence, its last token is read again.

Shapes: L tokens of a prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.errors import DataError
from mammal.tokenization.errors import PromptError
from mammal.tokenization.variants import variant_spans

if TYPE_CHECKING:
    from mammal.tasks.prompts.row_prompts import RowPrompts
    from mammal.tasks.tables.cells import Row
    from mammal.tokenization.encoding import Encoding
    from mammal.tokenization.prompt import Prompt

FLANK = 6
"""Number of tokens on each side of a variant whose states are read."""

SITE = 2 * FLANK + 1
"""Number of tokens of a site."""

WRITE_IN_PLACE = "write the change as [A/G]; adapt.site=false trains a probe that reads no site"


def site_positions(prompt: Prompt, encoding: Encoding, columns: Iterable[str]) -> np.ndarray:
    """Returns the positions of the tokens at the first variant of a prompt, int64 [SITE].

    Args:
        prompt: the prompt.
        encoding: its tokens.
        columns: columns with DNA.

    Raises:
        DataError: the prompt shows no variant in place, or truncation removed a part of it.
    """
    dna = frozenset(columns)
    for slot in prompt.slots:
        if slot.part != "input" or slot.column not in dna:
            continue
        for start, end in variant_spans(prompt.input[slot.start : slot.end])[:1]:
            return _around(encoding.offsets_L2, (slot.start, slot.end), (slot.start + start, slot.start + end))
    what = "no variant is written in place, and the probe reads the states at the variant"
    raise DataError(what, hint=WRITE_IN_PLACE)


def _around(offsets_L2: np.ndarray, sequence: tuple[int, int], variant: tuple[int, int]) -> np.ndarray:
    """Positions around the tokens of a variant, within those of its sequence.

    Args:
        offsets_L2: characters [start, end) that each token covers.
        sequence: characters of the sequence.
        variant: characters of the variant.
    """
    starts_L, ends_L = offsets_L2.T
    tokens = np.flatnonzero((starts_L >= sequence[0]) & (ends_L <= sequence[1]) & (ends_L > starts_L))
    of_variant = tokens[(starts_L[tokens] >= variant[0]) & (ends_L[tokens] <= variant[1])]
    if not len(of_variant) or starts_L[of_variant[0]] != variant[0] or ends_L[of_variant[-1]] != variant[1]:
        what = "truncation removed the variant, whose states the probe reads"
        raise DataError(what, hint="a smaller data.window, or a larger {column:dna@N}")
    first, last = int(of_variant[0]), int(of_variant[-1])
    steps = np.arange(1, FLANK + 1)
    around = np.concatenate([first - steps[::-1], [first], last + steps])
    return np.clip(around, tokens[0], tokens[-1]).astype(np.int64)


def dna_inputs(task: RowPrompts) -> list[str]:
    """Returns the columns with DNA that the prompt of a task reads, in its order.

    Args:
        task: the task.
    """
    return [column for column in task.template.columns("input") if column in task.dna]


def rows_with_variants(task: RowPrompts, rows: Sequence[Row]) -> tuple[int, int]:
    """Counts the rows whose prompt shows a variant in place.

    Args:
        task: the task.
        rows: the rows.

    Returns:
        The number of these rows, and the number of rows whose prompt can be written. Both are 0 if the prompt shows
        no DNA.
    """
    columns = dna_inputs(task)
    found = written = 0
    for row in rows if columns else ():
        try:
            texts = task.prepare(row)
        except (DataError, PromptError):  # encoding refuses the row with this reason
            continue
        written += 1
        found += any(variant_spans(texts[column]) for column in columns if column in texts)
    return found, written

"""Occlusion (Zeiler & Fergus 2014): how much the output falls if a fragment of a value is masked.

The tokens of the fragment get the embedding that the baseline has at their places. All other tokens stay. Effects of
fragments don't sum to anything: two fragments can each be enough for a label.

Shapes: B rows, E copies of rows, L tokens, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mammal.explanation.fragments import fragments_of

if TYPE_CHECKING:
    import numpy as np

    from mammal.explanation.content import Value
    from mammal.explanation.embedded import EmbeddedRows


@dataclass(frozen=True)
class Fragment:
    """A fragment of one value of a row.

    Attributes:
        value: position of the value in the row.
        parts: positions of its parts.
        effect: output of the row minus output without the fragment, in the scale of the model. NaN if the model reads
            no token of it, because the value was cut.
    """

    value: int
    parts: Sequence[int]
    effect: float


def occluded(
    rows: EmbeddedRows,
    values: Sequence[Sequence[Value]],
    *,
    tokens: int,
    fragments: str = "groups",
    window: int | None = None,
) -> list[list[Fragment]]:
    """Computes the effect of each fragment of each row.

    Args:
        rows: the rows.
        values: the values of the user in each row.
        tokens: maximum number of tokens, padding included, that are computed together.
        fragments: how molecules are divided, a key of `mammal.explanation.fragments.DIVISIONS`.
        window: residues, bases or tokens that are masked together.

    Returns:
        For each row its fragments, in the order of its values and of their first parts.
    """
    asked = [
        (row, number, parts, value.tokens_of(parts))
        for row, of_row in enumerate(values)
        for number, value in enumerate(of_row)
        for parts in fragments_of(value, fragments, window)
    ]
    read = [(row, tokens_T) for row, _, _, tokens_T in asked if len(tokens_T)]
    effects = iter(_effects(rows, read, tokens))
    found: list[list[Fragment]] = [[] for _ in values]
    for row, number, parts, tokens_T in asked:
        found[row].append(Fragment(number, parts, next(effects) if len(tokens_T) else float("nan")))
    return found


def _effects(rows: EmbeddedRows, masked: Sequence[tuple[int, np.ndarray]], tokens: int) -> list[float]:
    """The effect of masking these tokens of these rows."""
    together = max(1, tokens // rows.inputs_BLW.shape[1])
    effects: list[float] = []
    with torch.no_grad():
        for start in range(0, len(masked), together):
            chunk = masked[start : start + together]
            rows_E = torch.tensor([row for row, _ in chunk], device=rows.inputs_BLW.device)
            outputs_E = rows(_without(rows, rows_E, chunk), rows_E).double()
            effects += (rows.outputs_B[rows_E] - outputs_E).tolist()
    return effects


def _without(rows: EmbeddedRows, rows_E: Tensor, chunk: Sequence[tuple[int, np.ndarray]]) -> Tensor:
    """Copies of rows with the embeddings of the baseline at the masked tokens, float [E, L, W]."""
    hidden_EL = torch.zeros(len(chunk), rows.inputs_BLW.shape[1], dtype=torch.bool)
    for copy, (_, tokens_T) in enumerate(chunk):
        hidden_EL[copy, torch.from_numpy(tokens_T)] = True
    hidden_EL1 = hidden_EL.to(rows_E.device).unsqueeze(2)
    return torch.where(hidden_EL1, rows.baselines_BLW[rows_E], rows.inputs_BLW[rows_E])

"""What may come next in each sequence: a grammar's word, and no end before its time.

Shapes: D sequences, V columns of the token head.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mammal.decoding.limits import LengthLimits
from mammal.decoding.token_head import TokenHead
from mammal.tasks.grammar.grammar import Grammar, State

_CLOSED = object()
"""State of a sequence that has ended, or that a beam has given up: anything may follow, for nobody reads it."""


class Choices:
    """The columns that each sequence may produce next.

    Args:
        head: whose columns they are; sliced to `grammar.ids_V` where there is a grammar.
        limits: `<EOS>` is not produced before its time, unless nothing else is open.
        grammar: None: every column is open.
        states: of the grammar before the first token of each sequence; read where there is one.
    """

    def __init__(
        self,
        head: TokenHead,
        limits: LengthLimits,
        grammar: Grammar | None,
        states: list[State],
        device: torch.device,
    ):
        self._grammar, self._states, self._limits, self._device = grammar, states, limits, device
        self._anything_V = np.ones(head.columns, dtype=bool)
        self._not_the_end_V = torch.arange(head.columns, device=device) != head.column(limits.eos_id)

    def allowed(self, step: int) -> Tensor | None:
        """bool [D, V] or [1, V]; None: everything."""
        allowed_DV = self._by_grammar(self._limits.max_new_tokens - step) if self._grammar is not None else None
        if step >= self._limits.min_new_tokens:
            return allowed_DV
        if allowed_DV is None:
            return self._not_the_end_V.unsqueeze(0)
        others_DV = allowed_DV & self._not_the_end_V
        return torch.where(others_DV.any(dim=1, keepdim=True), others_DV, allowed_DV)

    def follow(self, columns_D: Tensor, open_D: Tensor, parents_D: Tensor | None = None) -> None:
        """Each sequence goes on with a column, from the past of its parent; those that are not open are closed."""
        if self._grammar is None:
            return
        before = self._states
        if parents_D is not None:
            before = [before[parent] for parent in parents_D.tolist()]
        self._states = [
            self._grammar.advance(state, column) if is_open and state is not _CLOSED else _CLOSED
            for state, column, is_open in zip(before, columns_D.tolist(), open_D.tolist(), strict=True)
        ]

    def keep(self, rows_D: Tensor) -> None:
        """Goes on with these sequences (indices) only."""
        if self._grammar is not None:
            self._states = [self._states[row] for row in rows_D.tolist()]

    def _by_grammar(self, left: int) -> Tensor:
        """Masks are few, and shared by sequences: each goes to the device once."""
        assert self._grammar is not None, "asked only where there is one"
        mask = self._grammar.mask
        masks = [self._anything_V if state is _CLOSED else mask(state, left) for state in self._states]
        different = {id(mask_V): mask_V for mask_V in masks}
        assert all(mask_V.any() for mask_V in different.values()), (
            "a grammar leaves a way on, or the sequence is closed"
        )
        places = {key: place for place, key in enumerate(different)}
        stacked = torch.from_numpy(np.stack(list(different.values()))).to(self._device)
        chosen_D = torch.tensor([places[id(mask_V)] for mask_V in masks], device=self._device)
        return stacked.index_select(0, chosen_D)

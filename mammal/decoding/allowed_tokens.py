"""The tokens that each sequence may produce next, by a grammar and by the minimal length.

Shapes: D sequences, V columns of the token head.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mammal.decoding.ages import Ages
from mammal.decoding.limits import LengthLimits
from mammal.decoding.token_head import TokenHead
from mammal.tasks.grammar.grammar import Grammar, State

_CLOSED = object()
"""State of a sequence that has ended or that beam search dropped. Any token may follow, because none is used."""


class Choices:
    """The columns of the token head that each sequence may produce next.

    Args:
        head: the token head; with a grammar it has the columns `grammar.ids_V`.
        limits: `<EOS>` is not allowed before `limits.min_new_tokens` tokens, unless no other token is allowed.
        grammar: rules of which tokens may follow; None: every column is allowed.
        states: state of the grammar before the first token of each sequence; not read without a grammar.
        device: where masks are put.
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
        self._end = head.column(limits.eos_id)
        self._not_the_end_V = torch.arange(head.columns, device=device) != self._end

    def limited(self, scores_DV: Tensor, ages: Ages, ruled_out: float) -> Tensor:
        """The scores of the next token of sequences of these ages, `ruled_out` for columns that are not allowed."""
        if self._grammar is None:
            early_D = ages.counts_D < self._limits.min_new_tokens
            if self._end < 0 or not early_D.any():
                return scores_DV
            limited_DV = scores_DV.clone()  # a mask of a whole vocabulary takes longer than a decoder step of few rows
            limited_DV[torch.from_numpy(early_D).to(self._device), self._end] = ruled_out
            return limited_DV
        return masked(scores_DV, self.allowed(ages), ruled_out)

    def allowed(self, ages: Ages) -> Tensor | None:
        """The columns that may be the next token of sequences of these ages, bool [D, V] or [1, V]; None: all."""
        allowed_DV = (
            self._by_grammar(self._limits.max_new_tokens - ages.counts_D) if self._grammar is not None else None
        )
        early_D = ages.counts_D < self._limits.min_new_tokens
        if not early_D.any():
            return allowed_DV
        if allowed_DV is None:
            others_DV, allowed_DV = self._not_the_end_V.unsqueeze(0), torch.ones_like(self._not_the_end_V).unsqueeze(0)
        else:
            others_DV = allowed_DV & self._not_the_end_V
            others_DV = torch.where(others_DV.any(dim=1, keepdim=True), others_DV, allowed_DV)
        if early_D.all():
            return others_DV
        return torch.where(torch.from_numpy(early_D).to(self._device).unsqueeze(1), others_DV, allowed_DV)

    def follow(self, columns_D: Tensor, open_D: Tensor, parents_D: Tensor | None = None) -> None:
        """Extends each sequence by one token.

        Args:
            columns_D: column of the new token, int64 [D].
            open_D: False for sequences that are not continued, bool [D].
            parents_D: sequence that each one continues, int64 [D]; None: each continues itself.
        """
        if self._grammar is None:
            return
        before = self._states
        if parents_D is not None:
            before = [before[parent] for parent in parents_D.tolist()]
        self._states = [
            self._grammar.advance(state, column) if is_open and state is not _CLOSED else _CLOSED
            for state, column, is_open in zip(before, columns_D.tolist(), open_D.tolist(), strict=True)
        ]

    def enter(self, rows: np.ndarray, states: Sequence[State]) -> None:
        """Other sequences, with these states of the grammar, take these places (indices)."""
        if self._grammar is not None:
            for row, state in zip(rows.tolist(), states, strict=True):
                self._states[row] = state

    def keep(self, rows: np.ndarray) -> None:
        """Keeps only these sequences (indices)."""
        if self._grammar is not None:
            self._states = [self._states[row] for row in rows.tolist()]

    def _by_grammar(self, left_D: np.ndarray) -> Tensor:
        """The mask of each sequence. Sequences share few different masks, so each one is copied to the device once."""
        assert self._grammar is not None, "called only with a grammar"
        mask = self._grammar.mask
        masks = [
            self._anything_V if state is _CLOSED else mask(state, left)
            for state, left in zip(self._states, left_D.tolist(), strict=True)
        ]
        different = {id(mask_V): mask_V for mask_V in masks}
        assert all(mask_V.any() for mask_V in different.values()), (
            "a grammar always allows a next token unless the sequence is closed"
        )
        places = {key: place for place, key in enumerate(different)}
        stacked = torch.from_numpy(np.stack(list(different.values()))).to(self._device)
        chosen_D = torch.tensor([places[id(mask_V)] for mask_V in masks], device=self._device)
        return stacked.index_select(0, chosen_D)


def masked(scores_DV: Tensor, allowed_DV: Tensor | None, ruled_out: float) -> Tensor:
    """The scores, `ruled_out` for columns that are not allowed; None: all are."""
    return scores_DV if allowed_DV is None else scores_DV.masked_fill(~allowed_DV, ruled_out)

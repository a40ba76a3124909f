"""Reduces repetition: tokens that a sequence already contains become less likely, or n-grams can't occur twice.

Both rules use the tokens of the decoder, its start token included. They are applied in the same order as in
`transformers`: first `repetition_penalty` (Keskar et al. 2019), then `no_repeat_ngram_size` (Paulus et al. 2018).

Shapes: D sequences, V columns of the token head, L tokens of a sequence so far, the start token first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mammal.decoding.ages import Ages
from mammal.decoding.token_head import TokenHead


class Repeats:
    """The tokens of each sequence so far, and their effect on the next token.

    Args:
        penalty: scores of tokens that a sequence already contains are divided by it if positive, multiplied by it if
            negative.
        ngram: length of the n-grams that must not occur twice; 0: no such rule.
        head: the token head; tokens are stored as its columns.
        start_id: id of the start token of the decoder. It counts as a token, whether it may be produced or not.
        ages: number of tokens of each sequence.
        device: where the tokens are stored.
    """

    def __init__(self, penalty: float, ngram: int, head: TokenHead, start_id: int, ages: Ages, device: torch.device):
        self.penalty, self.ngram = penalty, ngram
        self._no_column = head.columns  # fills the places after a sequence, and the first if no column is its token
        start, rows = head.column(start_id), len(ages.counts_D)
        self._start = start if start >= 0 else self._no_column
        self._past_DL = torch.full((rows, ages.most + 1), self._no_column, device=device)
        self._past_DL[:, 0] = self._start
        self._ages = ages
        self._lifted_D = torch.zeros(rows, dtype=torch.bool, device=device)
        self._any_lifted = torch.zeros((), dtype=torch.bool, device=device)

    @property
    def lifted(self) -> bool:
        """Whether a sequence was continued with a banned token, because no other token was allowed."""
        return bool(self._any_lifted)

    def penalised(self, scores_DV: Tensor) -> Tensor:
        """The scores, reduced for tokens that the sequence already contains, float32 [D, V]."""
        if self.penalty == 1:
            return scores_DV
        seen_DV = self._columns(self._past_DL[:, : self._ages.longest + 1])
        lowered_DV = torch.where(scores_DV < 0, scores_DV * self.penalty, scores_DV / self.penalty)
        return torch.where(seen_DV, lowered_DV, scores_DV)

    def limit(self, allowed_DV: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Removes banned tokens from the allowed ones; if none remains, a sequence keeps all its allowed tokens.

        Args:
            allowed_DV: allowed tokens, bool [D, V] or [1, V]; None: all tokens.

        Returns:
            All tokens without the banned ones, and `allowed_DV` without the banned ones, each bool [D, V]. If no token
            is banned: None and `allowed_DV` as it was given.
        """
        banned_DV = self._banned()
        if banned_DV is None:
            self._lifted_D = torch.zeros_like(self._lifted_D)
            return None, allowed_DV
        free_DV, lifted_D = _without(banned_DV, torch.ones_like(banned_DV))
        open_DV, self._lifted_D = (free_DV, lifted_D) if allowed_DV is None else _without(banned_DV, allowed_DV)
        return free_DV, open_DV

    def _banned(self) -> Tensor | None:
        """Tokens that would complete an n-gram for the second time, bool [D, V]; None: no token would."""
        before, length = self.ngram - 1, self._ages.longest + 1
        runs = length - before  # n-grams of the longest sequence, each of `before` tokens and the one after them
        if self.ngram == 0 or runs < 1:
            return None
        past_DL = self._past_DL[:, :length]
        after_DR = past_DL[:, before:]
        recurs_DR = torch.ones_like(after_DR, dtype=torch.bool)
        first_D1 = self._ages.places[1].unsqueeze(1) + 1 - before  # of the last `before` tokens of each sequence
        for place in range(before):
            now_D1 = past_DL.gather(1, (first_D1 + place).clamp(min=0))
            recurs_DR &= past_DL[:, place : place + runs] == now_D1
        return self._columns(after_DR.masked_fill(~recurs_DR, self._no_column))

    def follow(self, columns_D: Tensor, open_D: Tensor, parents_D: Tensor | None = None) -> None:
        """Extends each sequence by one token, as `Choices.follow` does; `ages` are those before this token."""
        if parents_D is not None:
            self._past_DL, self._lifted_D = self._past_DL[parents_D], self._lifted_D[parents_D]
        self._any_lifted |= (self._lifted_D & open_D).any()
        places_D, ages_D = self._ages.places
        self._past_DL[places_D, ages_D + 1] = columns_D

    def enter(self, rows_D: Tensor) -> None:
        """Other sequences, which have no token yet, take these places (indices)."""
        self._past_DL[rows_D] = self._no_column
        self._past_DL[rows_D, 0] = self._start
        self._lifted_D[rows_D] = False

    def keep(self, rows_D: Tensor) -> None:
        """Keeps only these sequences (indices)."""
        self._past_DL, self._lifted_D = self._past_DL[rows_D], self._lifted_D[rows_D]

    def _columns(self, some_DN: Tensor) -> Tensor:
        """Whether each column is among these, bool [D, V]."""
        found_DV = torch.zeros(len(some_DN), self._no_column + 1, dtype=torch.bool, device=some_DN.device)
        return found_DV.scatter_(1, some_DN, True)[:, : self._no_column]


def _without(banned_DV: Tensor, allowed_DV: Tensor) -> tuple[Tensor, Tensor]:
    """The allowed tokens that are not banned, and the sequences [D] whose ban was ignored because none was left."""
    left_DV = allowed_DV & ~banned_DV
    lifted_D = ~left_DV.any(dim=1)
    return torch.where(lifted_D.unsqueeze(1), allowed_DV, left_DV), lifted_D

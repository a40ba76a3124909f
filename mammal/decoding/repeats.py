"""Less repetition: tokens that a sequence already has are made less likely, or runs of tokens are kept from recurring.

Both rules read the tokens of the decoder, its start token included, in the order in which `transformers` applies them:
first `repetition_penalty` (Keskar et al. 2019), then `no_repeat_ngram_size` (Paulus et al. 2018).

Shapes: D sequences, V columns of the token head, L tokens of a sequence so far, the start token first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mammal.decoding.token_head import TokenHead


class Repeats:
    """The tokens of each sequence so far, and what follows from them for the next one.

    Args:
        penalty: scores of tokens that a sequence has are divided by it where positive, multiplied where negative.
        ngram: length of the runs of tokens that may not occur twice; 0: none.
        head: whose columns tokens are kept as.
        start_id: of the token that the decoder starts with; it counts as a token, whether it may be produced or not.
        rows: D.
        most: most tokens that a sequence gets, the start token not counted.
    """

    def __init__(
        self, penalty: float, ngram: int, head: TokenHead, start_id: int, rows: int, most: int, device: torch.device
    ):
        self.penalty, self.ngram = penalty, ngram
        self._no_column = head.columns  # of the start token, where it may not be produced
        start = head.column(start_id)
        self._past_DL = torch.full((rows, most + 1), start if start >= 0 else self._no_column, device=device)
        self._length = 1
        self._lifted_D = torch.zeros(rows, dtype=torch.bool, device=device)
        self._any_lifted = torch.zeros((), dtype=torch.bool, device=device)

    @property
    def lifted(self) -> bool:
        """Whether a sequence went on with a banned token, because nothing else was allowed."""
        return bool(self._any_lifted)

    def penalised(self, scores_DV: Tensor) -> Tensor:
        """The scores, lower for tokens that the sequence has."""
        if self.penalty == 1:
            return scores_DV
        seen_DV = self._columns(self._past_DL[:, : self._length])
        lowered_DV = torch.where(scores_DV < 0, scores_DV * self.penalty, scores_DV / self.penalty)
        return torch.where(seen_DV, lowered_DV, scores_DV)

    def limit(self, allowed_DV: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Leaves banned tokens out of what may follow; a sequence with nothing left keeps what it was allowed.

        Args:
            allowed_DV: bool [D, V] or [1, V]; None: everything.

        Returns:
            What is left of everything, and what is left of `allowed_DV`, each bool [D, V] or in the form given.
        """
        banned_DV = self._banned()
        if banned_DV is None:
            self._lifted_D = torch.zeros_like(self._lifted_D)
            return None, allowed_DV
        free_DV, lifted_D = _without(banned_DV, torch.ones_like(banned_DV))
        open_DV, self._lifted_D = (free_DV, lifted_D) if allowed_DV is None else _without(banned_DV, allowed_DV)
        return free_DV, open_DV

    def _banned(self) -> Tensor | None:
        """bool [D, V], tokens that would complete a run for the second time; None: no token would."""
        before, length = self.ngram - 1, self._length
        runs = length - before  # that a sequence has had, each of `before` tokens and the one after it
        if self.ngram == 0 or runs < 1:
            return None
        past_DL = self._past_DL[:, :length]
        after_DR = past_DL[:, before:]
        recurs_DR = torch.ones_like(after_DR, dtype=torch.bool)
        for place in range(before):
            now_D1 = past_DL[:, runs + place].unsqueeze(1)
            recurs_DR &= past_DL[:, place : place + runs] == now_D1
        return self._columns(after_DR.masked_fill(~recurs_DR, self._no_column))

    def follow(self, columns_D: Tensor, open_D: Tensor, parents_D: Tensor | None = None) -> None:
        """Each sequence goes on with a column, from the past of its parent."""
        if parents_D is not None:
            self._past_DL, self._lifted_D = self._past_DL[parents_D], self._lifted_D[parents_D]
        self._any_lifted |= (self._lifted_D & open_D).any()
        self._past_DL[:, self._length] = columns_D
        self._length += 1

    def keep(self, rows_D: Tensor) -> None:
        """Goes on with these sequences (indices) only."""
        self._past_DL, self._lifted_D = self._past_DL[rows_D], self._lifted_D[rows_D]

    def _columns(self, some_DN: Tensor) -> Tensor:
        """bool [D, V], which columns are among these."""
        found_DV = torch.zeros(len(some_DN), self._no_column + 1, dtype=torch.bool, device=some_DN.device)
        return found_DV.scatter_(1, some_DN, True)[:, : self._no_column]


def _without(banned_DV: Tensor, allowed_DV: Tensor) -> tuple[Tensor, Tensor]:
    """What is left of the allowed tokens, and in which sequences [D] the ban was lifted because nothing was."""
    left_DV = allowed_DV & ~banned_DV
    lifted_D = ~left_DV.any(dim=1)
    return torch.where(lifted_D.unsqueeze(1), allowed_DV, left_DV), lifted_D

"""One decoding step of all sequences: from the last tokens to the log-probabilities of the next ones.

With guidance the decoder runs twice over the same tokens, once after the prompt and once after the prompt without its
conditions (classifier-free guidance: Ho & Salimans 2022; in language models Sanchez et al. 2023):

    log p = log_softmax(log p_without + guidance * (log p_with - log p_without))

With drafts (`mammal.decoding.drafts`) a pass of the decoder feeds several tokens, and the next steps use its results as
long as the chosen tokens are those that were fed.

Shapes: B encoder rows, C sequences of each, D = B * C, W model width, V columns of the token head, Q fed tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mammal.decoding.ages import Ages
from mammal.decoding.allowed_tokens import Choices, masked
from mammal.decoding.decoder_cache import DecodingState
from mammal.decoding.drafts import Drafts
from mammal.decoding.limits import LengthLimits
from mammal.decoding.prompt_keys import PromptKeys
from mammal.decoding.repeats import Repeats
from mammal.decoding.token_head import TokenHead
from mammal.model.model import MammalModel
from mammal.tasks.grammar.grammar import State


class Taken(NamedTuple):
    """Result of one step for each sequence.

    Attributes:
        log_probs_DV: log-probabilities of the model, float32; with guidance those of the guided distribution.
        free_DV: scores for the choice of the next token if any token is allowed, float32: `log_probs_DV`, changed by
            the rules against repetition.
        open_DV: the same scores, with -inf (or another number that excludes a token) for tokens that are not allowed.
        states_DW: states of the decoder.
    """

    log_probs_DV: Tensor
    free_DV: Tensor
    open_DV: Tensor
    states_DW: Tensor


class _Scores(NamedTuple):
    """Log-probabilities of next tokens [N, V], scores [N, V] for the rules against repetition, and states [N, W]."""

    log_probs_NV: Tensor
    scores_NV: Tensor
    states_NW: Tensor

    @classmethod
    def none(cls) -> _Scores:
        return cls(*[torch.zeros(0, 0)] * 3)

    def at(self, place: int) -> _Scores:
        """Those at one place, N = 1."""
        return _Scores(*(tensor[place : place + 1] for tensor in self))


class DecodingSteps:
    """The state of all sequences: decoder caches, last tokens, and allowed next tokens.

    Args:
        model: the model.
        prompts: keys and values of the prompts; with guidance also those of the prompts without their conditions.
        head: the token head.
        limits: where sequences end.
        ages: number of tokens of each sequence so far, which these steps count.
        copies: C, number of sequences for each encoder row.
        choices: the tokens that may follow.
        guidance: strength of the guidance, see above; only read if prompts without their conditions are given.
        repeats: rules against repetition; None: no rules.
        by_logits: True: `repetition_penalty` changes the logits, as in greedy search and sampling of `transformers`.
            False: it changes the log-probabilities, as in beam search of `transformers`. With guidance it always
            changes the log-probabilities.
        drafts: guesses of the next tokens, for a single sequence at a time (D = 1); None: a pass feeds one token.
    """

    def __init__(
        self,
        model: MammalModel,
        prompts: Sequence[PromptKeys],
        head: TokenHead,
        limits: LengthLimits,
        ages: Ages,
        copies: int,
        choices: Choices,
        *,
        guidance: float = 1.0,
        repeats: Repeats | None = None,
        by_logits: bool = True,
        drafts: Drafts | None = None,
    ):
        self.model, self.head, self.limits, self.guidance = model, head, limits, guidance
        self.device, self.ages = model.device, ages
        self.groups, self.copies = prompts[0].prompts, copies
        self._caches = [DecodingState(model, keys, copies, ages) for keys in prompts]
        rows = self.groups * copies
        self._ids_D = torch.full((rows,), model.config.decoder_start_token_id, device=self.device)
        self.gives_values = limits.scalar_id is not None and model.decoder_scalars_head is not None
        self._values_D = torch.full((rows,), torch.nan, device=self.device) if self.gives_values else None
        self._choices, self._repeats, self._by_logits = choices, repeats, by_logits
        assert drafts is None or rows == 1, "drafts are of one sequence"
        self._drafts, self._ahead = drafts, _Scores.none()

    @property
    def lifted(self) -> bool:
        """Whether a banned repetition was accepted, because no other token was allowed."""
        return self._repeats is not None and self._repeats.lifted

    def take(self, ruled_out: float = -torch.inf) -> Taken:
        """Feeds the last token of each row; returns the scores of the next one, `ruled_out` for excluded tokens."""
        log_probs_DV, scores_DV, states_DW = self._scores()
        if self._repeats is None:
            return Taken(log_probs_DV, scores_DV, self._choices.limited(scores_DV, self.ages, ruled_out), states_DW)
        scores_DV = self._repeats.penalised(scores_DV)
        free_DV, open_DV = (
            masked(scores_DV, left_DV, ruled_out) for left_DV in self._repeats.limit(self._choices.allowed(self.ages))
        )
        return Taken(log_probs_DV, free_DV, open_DV, states_DW)

    def _scores(self) -> _Scores:
        """The scores after the last token of each row."""
        fed = () if self._values_D is None else (self._values_D.nan_to_num(), ~self._values_D.isnan())
        if self._drafts is not None:
            if self._drafts.check(int(self._ids_D)):
                return self._ahead.at(self._drafts.accepted)
            draft_Q = self._drafts.draft(self.limits.max_new_tokens - 1 - self.ages.longest)
            if len(draft_Q):
                ids_1Q = torch.cat((self._ids_D, self._indices(draft_Q))).unsqueeze(0)
                self._ahead = self._of_states([cache.step_ahead(ids_1Q, *fed).squeeze(0) for cache in self._caches])
                return self._ahead.at(0)
        return self._of_states([cache.step(self._ids_D, *fed) for cache in self._caches])

    def _of_states(self, states: list[Tensor]) -> _Scores:
        """The scores from the states of each cache, [N, W]."""
        states_NW, *others = states
        logits_NV = self.head.logits(states_NW)
        with_NV = torch.log_softmax(logits_NV, dim=-1)
        if not others:
            return _Scores(with_NV, logits_NV if self._repeats is not None and self._by_logits else with_NV, states_NW)
        without_NV = self.head(others[0])
        guided_NV = torch.log_softmax(without_NV + self.guidance * (with_NV - without_NV), dim=1)
        return _Scores(guided_NV, guided_NV, states_NW)

    def values(self, states_XW: Tensor, ids_X: Tensor) -> Tensor | None:
        """The value of each produced token, float32 [X]; NaN for tokens without a value. None: no token has one."""
        if not self.gives_values:
            return None
        values_X = self.model.scalar_head("decoder")(states_XW)[:, 0].float()
        return values_X.masked_fill(ids_X != self.limits.scalar_id, torch.nan)

    def feed(self, ids_D: Tensor, values_D: Tensor | None) -> None:
        """Sets the token and the value that are fed next, one for each row; None: no values."""
        self._ids_D, self._values_D = ids_D, values_D

    def follow(self, columns_D: Tensor, open_D: Tensor, parents_D: Tensor | None = None) -> None:
        """Extends each row by one token, as `Choices.follow` does; a parent belongs to the same encoder row.

        It is called after each `take` except the last.
        """
        self._choices.follow(columns_D, open_D, parents_D)
        if self._repeats is not None:
            self._repeats.follow(columns_D, open_D, parents_D)
        if parents_D is not None:
            for cache in self._caches:
                cache.reorder(parents_D)
        self.ages.advance()

    def enter(
        self,
        groups: np.ndarray,
        prompts: Sequence[PromptKeys],
        starts: Sequence[State],
        ids: Sequence[np.ndarray],
    ) -> None:
        """Other prompts take the places of these encoder rows (indices), and new sequences those of their sequences.

        Args:
            groups: the encoder rows.
            prompts: keys and values as for the constructor, of one prompt for each of them.
            starts: state of the grammar before the first token, for each prompt; not read without a grammar.
            ids: token ids of each prompt, of which drafts are made.
        """
        groups_G = self._indices(groups)
        for cache, keys in zip(self._caches, prompts, strict=True):
            cache.enter(groups_G, keys)
        if self._drafts is not None:
            self._drafts.enter(ids[0])
        rows = (groups[:, None] * self.copies + np.arange(self.copies)).reshape(-1)
        self.restart(rows, [start for start in starts for _ in range(self.copies)])

    def restart(self, rows: np.ndarray, starts: Sequence[State]) -> None:
        """New sequences of the same encoder rows take these places (indices)."""
        rows_D = self._indices(rows)
        self.ages.restart(rows)
        self._choices.enter(rows, starts)
        if self._drafts is not None:
            self._drafts.restart()
        if self._repeats is not None:
            self._repeats.enter(rows_D)
        self._ids_D[rows_D] = self.model.config.decoder_start_token_id
        if self._values_D is not None:
            self._values_D[rows_D] = torch.nan

    def keep(self, groups: np.ndarray) -> None:
        """Keeps only these encoder rows (sorted indices) and their sequences."""
        for cache in self._caches:
            cache.keep(self._indices(groups))
        self._keep((groups[:, None] * self.copies + np.arange(self.copies)).reshape(-1))
        self.groups = len(groups)

    def keep_rows(self, rows: np.ndarray) -> None:
        """Keeps only these sequences (sorted indices).

        `keep` and a search with parents are not possible afterwards.
        """
        for cache in self._caches:
            cache.keep_rows(self._indices(rows))
        self._keep(rows)
        self.groups, self.copies = self._caches[0].groups, self._caches[0].copies

    def _keep(self, rows: np.ndarray) -> None:
        rows_D = self._indices(rows)
        self.ages.keep(rows)
        self._choices.keep(rows)
        if self._repeats is not None:
            self._repeats.keep(rows_D)
        self._ids_D = self._ids_D[rows_D]
        if self._values_D is not None:
            self._values_D = self._values_D[rows_D]

    def _indices(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self.device)

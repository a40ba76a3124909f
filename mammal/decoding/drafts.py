"""Drafts: guesses of the next tokens of a sequence, copied from its prompt, which one pass of the decoder checks.

Answers often contain long parts of their prompt: a product has most atoms of its reactants, a canonical SMILES has most
runs of another SMILES of the same molecule. The tokens that follow the longest run of tokens with which the sequence
ends, and which the prompt contains, are fed together with the last token. The pass gives the scores after each of them.
They are used as long as the search chooses the token that was guessed; the rest is discarded. So the sequence and its
likelihood are those of decoding token by token, and the decoder needs fewer passes.

Sources: Andronov et al. 2025, "Accelerating the inference of string generation-based chemical reaction models for
industrial applications", J. Cheminform. (drafts from the input of the encoder); Saxena 2023, "Prompt lookup decoding"
(the longest match of the last tokens); Leviathan et al. 2023, "Fast inference from transformers via speculative
decoding".

Shapes: L tokens of the prompt, V allowed ids.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mammal.decoding.limits import LengthLimits

LONGEST = 10
"""Maximal number of tokens of a draft, if none is set."""


@dataclass(frozen=True)
class DraftCost:
    """What a draft costs, as a share of the time of a pass of the decoder that feeds one token.

    Attributes:
        first: cost of feeding more than one token at all.
        each: cost of each token of the draft.
    """

    first: float
    each: float


ON_CPU, ON_GPU = DraftCost(0.2, 0.05), DraftCost(0.05, 0.01)
"""On one core, 10 further tokens cost 0.2 to 0.7 passes in float32 (models of 128 to 768 wide), 0.2 in bfloat16. The
numbers for a GPU are estimates."""

_FIRST_RATE = 0.6
"""Share of correct guesses that is assumed before the first one was checked."""

_WEIGHT = 0.2
"""Weight of the newest guess in the moving average of the share of correct guesses."""

_SURE = 0.99
"""The share of correct guesses counts as not more than this."""


class PromptRuns:
    """Finds in a prompt the longest run of tokens with which a sequence ends.

    Args:
        ids_L: token ids of the prompt, int64 [L].
        usable_L: whether each token can be fed as part of a draft, bool [L].
    """

    def __init__(self, ids_L: np.ndarray, usable_L: np.ndarray):
        self._ids_L = ids_L
        stops = np.append(np.flatnonzero(~usable_L), len(ids_L))
        self._stop_L = stops[np.searchsorted(stops, np.arange(len(ids_L)))]
        self.restart()

    def restart(self) -> None:
        """Starts a sequence without tokens."""
        self._runs_L = np.zeros(len(self._ids_L), dtype=np.int64)
        self._next = 0

    def extend(self, token: int) -> None:
        """Adds a token to the sequence."""
        runs_L = np.ones_like(self._runs_L)
        runs_L[1:] += self._runs_L[:-1]
        self._runs_L = runs_L * (self._ids_L == token)  # of the run that ends at each place of the prompt

    def continuation(self, most: int) -> np.ndarray:
        """The tokens after the longest run, int64, at most so many; none if the prompt has no such run.

        Of several runs of this length it takes the first one after the former place, or else the first one.
        """
        runs_L = self._runs_L[:-1]
        longest = runs_L.max(initial=0)
        if longest == 0:
            return self._ids_L[:0]
        places = np.flatnonzero(runs_L == longest)
        later = int(np.searchsorted(places, self._next))
        self._next = int(places[later if later < len(places) else 0]) + 1
        return self._ids_L[self._next : min(self._next + most, self._stop_L[self._next])]


class Drafts:
    """The drafts of one sequence after another.

    The length of a draft follows from the share of guesses that were correct so far in this sequence: a draft ends
    where one more token costs more than the passes that it is expected to save. If few guesses are correct, no draft is
    fed. Guesses are still compared with the tokens of the search, so that drafts are fed again when the sequence
    begins to copy. This depends on the sequence alone, not on measured times or on earlier sequences.

    Args:
        limits: where sequences end; a draft contains no token that ends a sequence or carries a value.
        allowed_V: allowed ids, int64 [V]; None: all.
        longest: maximal number of tokens of a draft.
        cost: what a draft costs on this device.
    """

    def __init__(self, limits: LengthLimits, allowed_V: np.ndarray | None, longest: int, cost: DraftCost):
        self._allowed_V, self._longest, self._cost = allowed_V, longest, cost
        self._never = np.array([limits.eos_id, limits.pad_id, *limits.stop_ids, *_number(limits.scalar_id)])
        self.enter(np.zeros(0, dtype=np.int64))

    def enter(self, prompt_L: np.ndarray) -> None:
        """The next sequences belong to another prompt, with these token ids."""
        usable_L = ~np.isin(prompt_L, self._never)
        if self._allowed_V is not None:
            usable_L &= np.isin(prompt_L, self._allowed_V)
        self._runs = PromptRuns(prompt_L, usable_L)
        self.restart()

    def restart(self) -> None:
        """The next sequence starts, without tokens."""
        self._runs.restart()
        self._draft = self._guess = self._runs.continuation(0)
        self._rate, self._started = _FIRST_RATE, False
        self.accepted = 0

    def check(self, token: int) -> bool:
        """Adds the last token of the sequence. Returns whether it was fed as part of the draft.

        `accepted` is then the number of tokens of the draft up to it, otherwise 0. The first token of a sequence is the
        start token of the decoder.
        """
        if not self._started:
            self._started = True
            return False
        if len(self._guess):
            self._rate += _WEIGHT * (float(self._guess[0] == token) - self._rate)
        self._runs.extend(token)
        self._guess = self._runs.continuation(self._longest)
        if self.accepted < len(self._draft) and self._draft[self.accepted] == token:
            self.accepted += 1
            return True
        self.accepted = 0
        return False

    def draft(self, room: int) -> np.ndarray:
        """The tokens to feed after the last one, int64, at most `room`; none if a draft does not pay."""
        self._draft, self.accepted = self._guess[: max(0, min(room, self._length()))], 0
        return self._draft

    def _length(self) -> int:
        """The number of tokens that is expected to save most time; 0 if none saves any."""
        rate, cost = min(self._rate, _SURE), self._cost
        if rate <= cost.each:
            return 0
        length = min(self._longest, int(math.log(cost.each) / math.log(rate)))
        accepted = rate * (1 - rate**length) / (1 - rate)
        return length if accepted > cost.first + length * cost.each else 0


def _number(token_id: int | None) -> list[int]:
    return [] if token_id is None else [token_id]

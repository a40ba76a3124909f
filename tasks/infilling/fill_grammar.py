"""The grammar of answers that fill in hidden stretches: each stretch follows its sentinel, in its own alphabet.

    <SENTINEL_ID_0> tokens <SENTINEL_ID_1> tokens <EOS>

The hidden stretches of a row are its `Plan`, so each row of a batch has its own start state. After a sentinel, any
tokens of the stretch's alphabet are allowed, as many as the plan permits.
Shapes: V ids that the grammar can allow in any state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Fill(NamedTuple):
    """One hidden stretch.

    Attributes:
        sentinel: id of the token that marks it in the prompt.
        alphabet: name of its alphabet.
        least: minimum number of tokens.
        most: maximum number of tokens; None: any number.
    """

    sentinel: int
    alphabet: str
    least: int = 1
    most: int | None = None


Plan = tuple[Fill, ...]


class FillState(NamedTuple):
    """The state of the grammar within a sequence.

    Attributes:
        plan: the stretches to fill.
        stretch: index of the current stretch; -1 before the first sentinel, length of the plan after `<EOS>`.
        tokens: number of tokens of the current stretch so far.
    """

    plan: Plan
    stretch: int = -1
    tokens: int = 0

    @property
    def to_close(self) -> int:
        """Minimum number of tokens that finish the sequence from here, `<EOS>` included."""
        if self.stretch >= len(self.plan):
            return 0
        later = self.plan[self.stretch + 1 :]
        missing = max(0, self.plan[self.stretch].least - self.tokens) if self.stretch >= 0 else 0
        return missing + sum(1 + fill.least for fill in later) + 1


class FillGrammar:
    """The grammar of infilling answers (interface: `mammal.tasks.grammar.grammar.Grammar`).

    Args:
        alphabets: name of an alphabet -> ids of its tokens.
        sentinels: ids of the sentinels that plans may use.
        eos_id: id of `<EOS>`.
        default: the plan of `start`.
        scored_V: further ids that are scored together with the allowed ones, although no answer contains them.
    """

    def __init__(
        self,
        alphabets: Mapping[str, np.ndarray],
        sentinels: np.ndarray,
        eos_id: int,
        default: Plan,
        scored_V: Sequence[int] | np.ndarray = (),
    ):
        produced_V = np.concatenate([*alphabets.values(), sentinels, np.array([eos_id])])
        self.ids_V = np.union1d(produced_V, scored_V).astype(np.int64)
        self.eos_id, self.default = eos_id, default
        self._known = frozenset(produced_V.tolist())
        self._of_V = {name: np.isin(self.ids_V, ids) for name, ids in alphabets.items()}
        self._masks: dict[tuple[str | None, int | None], np.ndarray] = {}

    def start(self) -> FillState:
        """Returns the state before the first token of the default plan."""
        return FillState(self.default)

    def start_of(self, plan: Plan) -> FillState:
        """Returns the state before the first token of a row's plan.

        If the plan is empty, or has a sentinel that answers can't contain, the default plan is used.
        """
        return FillState(plan) if plan and all(fill.sentinel in self._known for fill in plan) else self.start()

    @property
    def least_new_tokens(self) -> int:
        """Minimum number of tokens of an answer to the default plan, `<EOS>` included."""
        return self.start().to_close

    def mask(self, state: FillState, left: int) -> np.ndarray:
        """Returns whether each column of `ids_V` may come next, bool [V]; see `Grammar.mask`."""
        plan, at = state.plan, state.stretch
        if at >= len(plan):
            return self._mask(None, None)
        if at < 0:
            return self._mask(None, plan[0].sentinel)
        fill = plan[at]
        more = state._replace(tokens=state.tokens + 1)
        may_go_on = (fill.most is None or state.tokens < fill.most) and more.to_close < left
        following = plan[at + 1].sentinel if at + 1 < len(plan) else self.eos_id
        may_end = state.tokens >= fill.least or not may_go_on
        return self._mask(fill.alphabet if may_go_on else None, following if may_end else None)

    def advance(self, state: FillState, column: int) -> FillState:
        """Returns the state after a token that `mask` allowed."""
        if state.stretch >= 0 and self._of_V[state.plan[state.stretch].alphabet][column]:
            return state._replace(tokens=state.tokens + 1)
        return FillState(state.plan, state.stretch + 1)

    def _mask(self, alphabet: str | None, single: int | None) -> np.ndarray:
        """The mask of an alphabet and a single id; read-only, because states with equal masks share it."""
        key = alphabet, single
        if key not in self._masks:
            mask_V = np.zeros(len(self.ids_V), dtype=bool) if alphabet is None else self._of_V[alphabet].copy()
            if single is not None:
                mask_V[np.searchsorted(self.ids_V, single)] = True
            mask_V.flags.writeable = False
            self._masks[key] = mask_V
        return self._masks[key]


def plan_of(sentinels: Sequence[int], alphabets: Sequence[str], lengths: Sequence[int] | None = None) -> Plan:
    """Returns the plan of a row with hidden stretches.

    Args:
        sentinels: id of the sentinel of each stretch.
        alphabets: name of the alphabet of each stretch.
        lengths: number of tokens of each fill; None: at least one token each.
    """
    if lengths is None:
        return tuple(Fill(sentinel, alphabet) for sentinel, alphabet in zip(sentinels, alphabets, strict=True))
    each = zip(sentinels, alphabets, lengths, strict=True)
    return tuple(Fill(sentinel, alphabet, count, count) for sentinel, alphabet, count in each)

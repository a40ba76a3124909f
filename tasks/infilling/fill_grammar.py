"""The grammar of answers that fill hidden stretches: each stretch after its sentinel, in its own alphabet.

    <SENTINEL_ID_0> tokens <SENTINEL_ID_1> tokens <EOS>

What a row hides is its `Plan`, so rows of a batch start in states of their own; between sentinels any token of the
alphabet may stand, as many as the plan says.
Shapes: V ids that the grammar may ever allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Fill(NamedTuple):
    """One hidden stretch.

    Attributes:
        sentinel: id of the token that stands for it.
        alphabet: what it is written in.
        least, most: tokens it may have; None: any number.
    """

    sentinel: int
    alphabet: str
    least: int = 1
    most: int | None = None


Plan = tuple[Fill, ...]


class FillState(NamedTuple):
    """Where a sequence stands.

    Attributes:
        plan: what it has to fill.
        stretch: the one that is being filled; -1 before the first sentinel, the plan's length after `<EOS>`.
        tokens: it has so far.
    """

    plan: Plan
    stretch: int = -1
    tokens: int = 0

    @property
    def to_close(self) -> int:
        """The fewest tokens that finish the sequence from here, `<EOS>` included."""
        if self.stretch >= len(self.plan):
            return 0
        later = self.plan[self.stretch + 1 :]
        missing = max(0, self.plan[self.stretch].least - self.tokens) if self.stretch >= 0 else 0
        return missing + sum(1 + fill.least for fill in later) + 1


class FillGrammar:
    """Which token may follow which in an answer that fills in (`mammal.tasks.grammar.grammar.Grammar`).

    Args:
        alphabets: name -> ids of its tokens.
        sentinels: ids that plans may name.
        default: the plan of `start`.
        scored_V: further ids among which tokens are scored, though no answer holds them.
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
        """The state before the first token of the default plan."""
        return FillState(self.default)

    def start_of(self, plan: Plan) -> FillState:
        """The state before the first token of a row's plan; of the default one where that is empty, or names a sentinel
        that answers can't hold."""
        return FillState(plan) if plan and all(fill.sentinel in self._known for fill in plan) else self.start()

    @property
    def least_new_tokens(self) -> int:
        """The fewest tokens of an answer to the default plan, `<EOS>` included."""
        return self.start().to_close

    def mask(self, state: FillState, left: int) -> np.ndarray:
        """Which columns of `ids_V` may come next, bool [V]; see `Grammar.mask`."""
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
        """The state after a token that `mask` allowed."""
        if state.stretch >= 0 and self._of_V[state.plan[state.stretch].alphabet][column]:
            return state._replace(tokens=state.tokens + 1)
        return FillState(state.plan, state.stretch + 1)

    def _mask(self, alphabet: str | None, single: int | None) -> np.ndarray:
        """Shared by all states that allow the same, read-only."""
        key = alphabet, single
        if key not in self._masks:
            mask_V = np.zeros(len(self.ids_V), dtype=bool) if alphabet is None else self._of_V[alphabet].copy()
            if single is not None:
                mask_V[np.searchsorted(self.ids_V, single)] = True
            mask_V.flags.writeable = False
            self._masks[key] = mask_V
        return self._masks[key]


def plan_of(sentinels: Sequence[int], alphabets: Sequence[str], lengths: Sequence[int] | None = None) -> Plan:
    """The plan of a row that hides stretches.

    Args:
        lengths: tokens that each fill shall have; None: at least one.
    """
    if lengths is None:
        return tuple(Fill(sentinel, alphabet) for sentinel, alphabet in zip(sentinels, alphabets, strict=True))
    each = zip(sentinels, alphabets, lengths, strict=True)
    return tuple(Fill(sentinel, alphabet, count, count) for sentinel, alphabet, count in each)

"""What can be said about how to generate, checked when it is said."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mammal.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class GenerationConfig:
    """How to generate.

    Attributes:
        max_new_tokens: most tokens of a sequence, `<EOS>` included.
        min_new_tokens: tokens before which no `<EOS>` is produced, unless a grammar leaves nothing else.
        stop_ids: tokens that end a sequence as `<EOS>` does; they stay in it.
        num_beams: 1 for greedy or sampling, more for beam search.
        num_beam_groups: beam search: groups that the beams are divided into, to differ from each other
            (`mammal.decoding.beam_search`); 1: none.
        diversity_penalty: beam search: subtracted from the log-probability of a token for each beam of an earlier group
            that takes it at the same step.
        do_sample: draw each token instead of taking the best.
        temperature, top_k, top_p, min_p: of the draws: applied in this order, as in `transformers`. `min_p` drops what
            is less likely than this share of the likeliest token (Nguyen et al. 2024).
        num_return_sequences: sequences of each row; at most `num_beams` in beam search, 1 in greedy.
        early_stopping: beam search: stop a row as soon as `num_beams` sequences are done.
        length_penalty: beam search: scores are divided by length to this power.
        guidance: 1: none; more: away from what the model would say without the row's conditions
            (`mammal.decoding.steps`).
        allowed_ids: ids that may be produced (put `<EOS>` among them); None: the whole vocabulary.
        shares: also find how much likelier the allowed ids made each draw (`mammal.decoding.Generated.log_shares`).
        seed: of the draws.
        scalar_id: id of `<SCALAR>`, for models whose decoder has a scalar head: each one produced gets a value.
    """

    max_new_tokens: int = 20
    min_new_tokens: int = 0
    stop_ids: Sequence[int] = ()
    num_beams: int = 1
    num_beam_groups: int = 1
    diversity_penalty: float = 0.0
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    num_return_sequences: int = 1
    early_stopping: bool = False
    length_penalty: float = 1.0
    guidance: float = 1.0
    allowed_ids: Sequence[int] | np.ndarray | Tensor | None = None
    shares: bool = False
    seed: int = 0
    scalar_id: int | None = None

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ConfigError(problem)

    def _problems(self) -> Iterator[str]:
        for name in ("max_new_tokens", "num_beams", "num_beam_groups", "num_return_sequences", "top_k"):
            value = getattr(self, name)
            if value is not None and value < 1:
                yield f"{name} must be at least 1, not {value}"
        for name in ("top_p", "min_p"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                yield f"{name} must lie in (0, 1], not {value}"
        for problem, wrong in {
            "temperature must be above 0": not self.temperature > 0,
            "min_new_tokens must be 0 or more, and less than max_new_tokens": (
                not 0 <= self.min_new_tokens < self.max_new_tokens
            ),
            "guidance must be a finite number": not math.isfinite(self.guidance),
            "length_penalty must be a finite number": not math.isfinite(self.length_penalty),
            "sampling and beam search exclude each other": self.do_sample and self.num_beams > 1,
            "num_beams must be a multiple of num_beam_groups": self.num_beams % self.num_beam_groups != 0,
            "diversity_penalty must be 0 or more, and finite": not 0 <= self.diversity_penalty < math.inf,
            "num_beam_groups and diversity_penalty need each other: groups differ by the penalty alone": (
                (self.num_beam_groups > 1) != (self.diversity_penalty > 0)
            ),
            "num_return_sequences can't exceed num_beams": 1 < self.num_beams < self.num_return_sequences,
            "greedy generation gives one sequence a row; set do_sample or num_beams": (
                self.num_return_sequences > 1 and self.num_beams == 1 and not self.do_sample
            ),
            "no id is allowed": self.allowed_ids is not None and len(self.allowed_ids) == 0,
        }.items():
            if wrong:
                yield problem

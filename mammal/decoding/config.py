"""Settings of the generation of a batch; they are checked when the object is created."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mammal.errors import ConfigError
from mammal.tasks.declaration.generation_settings import SETTINGS, DecodingSettings, of_way, problems

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass
class GenerationConfig(DecodingSettings):
    """Settings of generation, in addition to `mammal.tasks.declaration.generation_settings.DecodingSettings`.

    Change a setting with `dataclasses.replace`, which checks the result.

    Attributes:
        stop_ids: ids of tokens that end a sequence in the same way as `<EOS>`; the sequence includes them.
        num_return_sequences: number of sequences for each row; at most `num_beams` in beam search, 1 in greedy search.
        allowed_ids: ids that may be produced (include `<EOS>`); None: the whole vocabulary.
        shares: also compute how much more probable the restriction to allowed ids made each sample
            (`mammal.decoding.Generated.log_shares`).
        seed: random seed of sampling.
        scalar_id: id of `<SCALAR>`, for models whose decoder has a scalar head: each produced `<SCALAR>` gets a value.
            None: tokens get no values.

    Raises:
        ConfigError: a setting is out of its range, or two contradict each other.
    """

    max_new_tokens: int = 20
    stop_ids: Sequence[int] = ()
    num_return_sequences: int = 1
    allowed_ids: Sequence[int] | np.ndarray | Tensor | None = None
    shares: bool = False
    seed: int = 0
    scalar_id: int | None = None

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ConfigError(problem)

    def without_beams(self) -> GenerationConfig:
        """The same settings without beam search; all settings of beams have their defaults."""
        return replace(self, num_beams=1, **{name: SETTINGS[name].default for name in of_way("beams")})

    def _problems(self) -> Iterator[str]:
        yield from problems(self)
        for problem, wrong in {
            f"num_return_sequences must be at least 1, not {self.num_return_sequences}": self.num_return_sequences < 1,
            "min_new_tokens must be less than max_new_tokens": self.min_new_tokens >= self.max_new_tokens,
            "sampling and beam search exclude each other": self.do_sample and self.num_beams > 1,
            "num_beams must be a multiple of num_beam_groups": self.num_beams % self.num_beam_groups != 0,
            "num_beam_groups and diversity_penalty need each other: groups differ only by the penalty": (
                (self.num_beam_groups > 1) != (self.diversity_penalty > 0)
            ),
            "num_return_sequences can't exceed num_beams": 1 < self.num_beams < self.num_return_sequences,
            "greedy generation gives one sequence a row; set do_sample or num_beams": (
                self.num_return_sequences > 1 and self.num_beams == 1 and not self.do_sample
            ),
            f"drafts must be null, true, false or a whole number, not {self.drafts!r}": (
                self.drafts is not None and type(self.drafts) not in (bool, int)
            ),
            "no id is allowed": self.allowed_ids is not None and len(self.allowed_ids) == 0,
        }.items():
            if wrong:
                yield problem

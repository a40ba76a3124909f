"""Collects the generated sequences of rows, and decides which ones are sampled again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from mammal.decoding.config import GenerationConfig
from mammal.decoding.random_numbers import Draw
from mammal.decoding.slots import Finished
from mammal.generation.samples import Rules, Sample
from mammal.rows.batched import Row


class Collected:
    """The sequences of rows that do not have all of theirs yet.

    Args:
        rows: the rows. The name of a prompt is the position of its row.
        config: settings of decoding.
        rules: rules for valid sequences.
        put: gets the sequences of a row as soon as it has all of them.

    Attributes:
        valid_at_once: number of sequences that were valid when they were first sampled.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        config: GenerationConfig,
        rules: Rules,
        put: Callable[[Mapping[int, list[Sample]]], None],
    ):
        self._rows, self._rules, self._put = rows, rules, put
        self._wanted, self._ranked = config.num_return_sequences, config.num_beams > 1
        self._redraws = config.do_sample and rules.redraws
        self._found: dict[int, dict[int, Sample]] = {}
        self._complete: Counter[int] = Counter()
        self.valid_at_once = 0

    def expect(self, places: Sequence[int]) -> None:
        """Notes that the rows at these positions are to get sequences."""
        self._found.update((place, {}) for place in places)

    def __call__(self, sequence: Finished) -> Draw | None:
        """Keeps a sequence.

        If a sequence was valid at least once but never kept, the result is one of the valid ones.

        Args:
            sequence: a sequence that has ended.

        Returns:
            Other random numbers if it is to be sampled again.
        """
        place, number = cast(int, sequence.name), sequence.number
        sample, found = self._sample(sequence, self._rows[place]), self._found[place]
        if self._redraws:
            draw = cast(Draw, sequence.draw)
            self.valid_at_once += draw.attempt == 0 and sample.problem is None
            before = found.get(number)
            best = before if before is not None and before.problem is None and sample.problem is not None else sample
            found[number] = replace(best, draws=draw.attempt + 1)
            if draw.attempt + 1 < self._rules.max_draws and not self._keeps(sample, draw):
                return draw.again()
        else:
            found[number] = sample
        self._complete[place] += 1
        if self._complete[place] == self._wanted:
            self._put_row(place)
        return None

    def put_rest(self) -> None:
        """Passes on the rows for which beam search found fewer sequences than requested."""
        for place in list(self._found):
            self._put_row(place)

    def _put_row(self, place: int) -> None:
        found = self._found.pop(place)
        del self._complete[place]
        self._put({place: [found[number] for number in sorted(found)]})

    def _keeps(self, sample: Sample, draw: Draw) -> bool:
        if sample.problem is not None:
            return False
        return not self._rules.faithful or draw.chance() < math.exp(sample.log_share)

    def _sample(self, sequence: Finished, row: Row) -> Sample:
        ids, reason = tuple(sequence.ids.tolist()), self._rules.invalid_reason
        return Sample(
            ids,
            sequence.log_likelihood,
            None if sequence.values is None else tuple(sequence.values.tolist()),
            sequence.score if self._ranked else None,
            problem=None if reason is None else reason(ids, row),
            log_share=sequence.log_share or 0.0,
        )

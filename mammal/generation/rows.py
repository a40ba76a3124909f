"""Generates sequences for any number of rows. Invalid sequences are sampled again.

Rows and their sequences enter the batch of the decoder when others have ended. The sequences of a row do not depend on
the others. Shapes: as in `mammal.tasks.batches.batch`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any, cast

import torch

from mammal.decoding.config import GenerationConfig
from mammal.decoding.generate_stream import Room, generate_each
from mammal.decoding.random_numbers import Draw
from mammal.decoding.waiting import Prompts
from mammal.generation.collected import Collected
from mammal.generation.consensus import consensus_of
from mammal.generation.samples import NO_RULES, Rules, Sample
from mammal.model.model import MammalModel
from mammal.rows.batched import Encoder, NumberedBatch, Pace, Progress, Refused, Row, walk_through
from mammal.rows.run_model import evaluating
from mammal.tasks.batches.batch import Batch

logger = logging.getLogger(__name__)

_ROUND = 64
"""Sequences that are in the batch at once even if they need more memory than `_CACHE_BYTES`; and sequences that are
sampled for a row before it is decided whether it needs more different ones."""

_CACHE_BYTES = 256 << 20
"""Memory for the keys and values of the sequences in the batch, if the model is not on a GPU."""

_CACHE_SHARE = 1 / 8
"""The same on a GPU, as a share of its memory."""

_IDLE = 256
"""Sequences in a row without a new one after which no more different ones are looked for; at least as many as are
wanted."""


def generate_rows(
    model: MammalModel,
    encoder: Encoder,
    rows: Sequence[Row],
    config: GenerationConfig,
    *,
    rules: Rules = NO_RULES,
    firsts: Sequence[Draw] | None = None,
    pace: Pace | None = None,
    progress: Progress | None = None,
    cut: set[int] | None = None,
) -> list[list[Sample] | Refused]:
    """Generates `config.num_return_sequences` sequences for each row.

    Sampled sequences that are not valid are sampled again, up to `rules.max_draws` times. In beam search, valid
    sequences are preferred to invalid ones. A sequence that never became valid is in the result with its `problem`.
    Beam search can find fewer sequences than requested. With `rules.identity`, only valid sequences that differ are in
    the result, which can also be fewer. With `rules.consensus`, each row has one sequence, which its samples agree on.

    Args:
        model: the model.
        encoder: converts rows to batches.
        rows: one mapping from columns to values per row.
        config: settings of decoding.
        rules: rules for valid sequences. Default: none.
        firsts: for each row the key of the random numbers of its first sequence. Further sequences of the row have the
            same key with a higher `copy`. Default: from `config.seed` and the position of the row, so that equal rows
            get different sequences.
        pace: how many rows are processed together. Default: that of the model's device.
        progress: function that is called with the number of rows that were just answered.
        cut: gets the positions of rows that are longer than a limit (`mammal.rows.batched.walk`).

    Returns:
        For each row its sequences, or the reason why it has none.
    """
    if rules.consensus:
        config = replace(config.without_beams(), do_sample=True, num_return_sequences=rules.consensus)
    config = replace(config, shares=rules.faithful)
    firsts = firsts or _by_position(config.seed, len(rows))
    pace = pace or Pace.of_device(model.device.type)
    work = _Work(model, encoder, rows, config, rules, pace, firsts, set() if cut is None else cut)
    found = work.sample(progress) if config.do_sample else work.search(progress)
    if config.do_sample and rules.redraws:
        _tell(found, work.valid_at_once)
    if rules.consensus:
        found = [given if isinstance(given, Refused) else [consensus_of(given)] for given in found]
    elif rules.identity is not None:
        if config.do_sample:
            work.draw_more(found)
        found = work.different(found)
    work.report_lifted()
    return found


def _by_position(seed: int, count: int) -> list[Draw]:
    return [Draw(seed, position) for position in range(count)]


def _room(model: MammalModel, config: GenerationConfig, pace: Pace) -> Room:
    """How much is computed at once, by the size of the decoder's cached keys and values.

    A step computes one token of each sequence, so that more of them than rows of a batch are faster.
    """
    shape = model.config
    numbers = 2 * shape.num_decoder_layers * config.max_new_tokens * shape.num_heads * shape.d_kv
    each = numbers * model.dtype.itemsize * (1 if config.guidance == 1 else 2)
    fitting = max(_ROUND, _cache_bytes(model.device) // each)
    return Room(sequences=min(2 * pace.rows, fitting), tokens=pace.tokens)


def _cache_bytes(device: torch.device) -> int:
    if device.type != "cuda":
        return _CACHE_BYTES
    return int(torch.cuda.get_device_properties(device).total_memory * _CACHE_SHARE)


@dataclass
class _Work:
    """One call of `generate_rows`."""

    model: MammalModel
    encoder: Encoder
    rows: Sequence[Row]
    config: GenerationConfig
    rules: Rules
    pace: Pace
    firsts: Sequence[Draw]
    cut: set[int]
    _wanted: int = field(init=False)
    _lifted: bool = False
    valid_at_once: int = field(default=0, init=False)
    """Number of sequences that were valid when they were first sampled."""

    def __post_init__(self) -> None:
        self._wanted = self.config.num_return_sequences

    def search(self, progress: Progress | None) -> list[list[Sample] | Refused]:
        """Greedy and beam search. If sequences are checked, all beams are, and the valid ones are preferred."""
        checked = self.rules.invalid_reason is not None or self.rules.identity is not None
        config = replace(self.config, num_return_sequences=self.config.num_beams if checked else self._wanted)
        found = self._run(range(len(self.rows)), config, None, progress, self.cut)
        most = None if self.rules.identity is not None else self._wanted
        return [given if isinstance(given, Refused) else _valid_first(given)[:most] for given in found]

    def sample(self, progress: Progress | None) -> list[list[Sample] | Refused]:
        """Samples every sequence. Those that are not valid are sampled again."""
        return self._run(range(len(self.rows)), self.config, self._draw, progress, self.cut)

    def draw_more(self, found: list[list[Sample] | Refused]) -> None:
        """Adds samples to rows with too few different ones, until they have enough or nothing new comes.

        Whether a row goes on depends on its own samples alone, so that its answers do not depend on the other rows.
        """
        count = min(_ROUND, max(8, self._wanted))
        config = replace(self.config, num_return_sequences=count)
        while open_rows := [row for row in range(len(found)) if self._lacks(found[row], self.rows[row])]:
            starts = {row: len(cast("list[Sample]", found[row])) for row in open_rows}
            made = self._run(open_rows, config, partial(self._draw, starts=starts), None)
            for row, given in zip(open_rows, made, strict=True):
                held = found[row]
                assert not isinstance(held, Refused) and not isinstance(given, Refused), "read once, read again"
                held += given

    def _lacks(self, given: list[Sample] | Refused, row: Row) -> bool:
        """Whether more different samples are to be looked for."""
        if isinstance(given, Refused):
            return False
        firsts = self._firsts(given, row)
        idle = len(given) - (firsts[-1] + 1 if firsts else 0)
        return len(firsts) < self._wanted and idle < max(_IDLE, self._wanted)

    def _firsts(self, samples: Sequence[Sample], row: Row) -> list[int]:
        """Places of the first of each valid samples that are the same answer."""
        seen: dict[Hashable, int] = {}
        for place, sample in enumerate(samples):
            key = None if sample.problem is not None else self._identity(sample, row)
            if key is not None:
                seen.setdefault(key, place)
        return sorted(seen.values())

    def _identity(self, sample: Sample, row: Row) -> Hashable | None:
        assert self.rules.identity is not None, "asked of different sequences alone"
        return self.rules.identity(sample, row)

    def different(self, found: Sequence[list[Sample] | Refused]) -> list[list[Sample] | Refused]:
        """Of each row's valid samples the different ones, as many as are wanted; logs if some rows have fewer."""
        kept: list[list[Sample] | Refused] = []
        for row, given in zip(self.rows, found, strict=True):
            if isinstance(given, Refused):
                kept.append(given)
            else:
                kept.append([given[place] for place in self._firsts(given, row)[: self._wanted]])
        counts = [len(given) for given in kept if not isinstance(given, Refused)]
        if fewer := [count for count in counts if count < self._wanted]:
            what = "%d of %d rows have fewer than %d different sequences; the fewest have %d"
            logger.warning(what, len(fewer), len(counts), self._wanted, min(fewer))
        return kept

    def report_lifted(self) -> None:
        """Logs a message if some sequences have repeats that `no_repeat_ngram_size` forbids."""
        if self._lifted:
            size = self.config.no_repeat_ngram_size
            run = f"a run of {size} tokens" if size > 1 else "1 token"
            logger.info("some sequences repeat %s: no_repeat_ngram_size left no allowed token there", run)

    def _draw(self, row: int, i: int, starts: Mapping[int, int] | None = None) -> Draw:
        """The random numbers of a sequence of a row, counted from 0 or from the start of the row."""
        start = 0 if starts is None else starts[row]
        return replace(self.firsts[row], copy=self.firsts[row].copy + start + i)

    def _run(
        self,
        numbers: Sequence[int],
        config: GenerationConfig,
        draw: Callable[[int, int], Draw] | None,
        progress: Progress | None,
        cut: set[int] | None = None,
    ) -> list[list[Sample] | Refused]:
        """Generates sequences for these rows. With `draw` they are sampled, and equal rows are not merged."""
        rows = [self.rows[number] for number in numbers]

        def work(batches: Iterator[NumberedBatch], put: Callable[[Mapping[int, list[Sample]]], None]) -> None:
            first = next(batches, None)
            if first is None:
                return
            collected = Collected(rows, config, self.rules, put)

            def prompts() -> Iterator[Prompts]:
                for places, batch in chain([first], batches):
                    collected.expect(places)
                    yield self._prompts(rows, places, batch)

            self._lifted |= generate_each(
                self.model,
                prompts(),
                replace(config, allowed_ids=first[1].candidates_V),
                collected,
                grammar=self.rules.grammar,
                draw=None if draw is None else lambda place, i: draw(numbers[cast(int, place)], i),
                room=_room(self.model, config, self.pace),
            )
            collected.put_rest()
            self.valid_at_once += collected.valid_at_once

        with evaluating(self.model):
            how: dict[str, Any] = {"merge": draw is None, "pace": self.pace, "progress": progress, "cut": cut}
            return walk_through(rows, self.encoder, work, **how)

    def _prompts(self, rows: Sequence[Row], places: list[int], batch: Batch) -> Prompts:
        start = self.rules.start
        starts = None if start is None else [start(rows[place]) for place in places]
        without = self._without(rows, places) if self.config.guidance != 1 else None
        return Prompts(batch.to(self.model.device), places, starts, without)

    def _without(self, rows: Sequence[Row], numbers: Sequence[int]) -> Batch | None:
        """Returns the batch of the same rows without their conditions."""
        if self.rules.without is None:
            return None
        examples, refused = self.rules.without.encode([rows[number] for number in numbers], numbers)
        assert not refused, "a row that can be read can be read without its conditions"
        return self.rules.without.collate(examples).to(self.model.device)


def _each_sample(found: Sequence[list[Sample] | Refused]) -> Iterator[tuple[int, int, Sample]]:
    """Yields each sample with the number of its row and its position in the row."""
    for row, given in enumerate(found):
        if not isinstance(given, Refused):
            yield from ((row, i, sample) for i, sample in enumerate(given))


def _valid_first(samples: Sequence[Sample]) -> list[Sample]:
    """Returns the valid samples and after them the others; the order in each group is kept."""
    return sorted(samples, key=lambda sample: sample.problem is not None)


def _tell(found: Sequence[list[Sample] | Refused], first: int) -> None:
    """Logs how many sequences were valid when first sampled, and how often a sequence was sampled on average."""
    draws = [sample.draws for _, _, sample in _each_sample(found)]
    if draws:
        failed = sum(sample.problem is not None for _, _, sample in _each_sample(found))
        logger.info(
            "%s of %s sequences were valid at once (%.2f %%); sampled %.3f times on average; %s never became valid",
            *(f"{first:,}", f"{len(draws):,}", 100 * first / len(draws), sum(draws) / len(draws), f"{failed:,}"),
        )

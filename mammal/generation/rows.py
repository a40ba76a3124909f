"""Generates sequences for any number of rows. Invalid sequences are sampled again.

The sequences of a row do not depend on the rows that are in the same batch. Shapes: as in
`mammal.tasks.batches.batch`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from mammal.decoding.generate_batch import Generated, GenerationConfig, generate
from mammal.decoding.random_numbers import Draw
from mammal.generation.samples import NO_RULES, Rules, Sample
from mammal.model.model import MammalModel
from mammal.rows.batched import Encoder, Pace, Progress, Refused, Row
from mammal.rows.run_model import run
from mammal.tasks.batches.batch import Batch

logger = logging.getLogger(__name__)

_ROUND, _LARGEST_ROUND = 64, 256
"""Sequences that are sampled for one row at once: at least the first number, and up to the second if they need no more
than `_ROUND_BYTES`."""

_ROUND_BYTES = 256 << 20

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
    the result, which can also be fewer.

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
    config = replace(config, shares=rules.faithful)
    firsts = firsts or _by_position(config.seed, len(rows))
    pace = pace or Pace.of_device(model.device.type)
    work = _Work(model, encoder, rows, config, rules, pace, firsts, set() if cut is None else cut)
    found = work.sample(progress) if config.do_sample else work.search(progress)
    if config.do_sample and rules.invalid_reason is not None and rules.max_draws > 1:
        valid_at_once = sum(sample.problem is None for _, _, sample in _each_sample(found))
        work.draw_again(found)
        _tell(found, valid_at_once)
    if rules.identity is not None:
        if config.do_sample:
            work.draw_more(found)
        found = work.different(found)
    work.report_lifted()
    return found


def _by_position(seed: int, count: int) -> list[Draw]:
    return [Draw(seed, position) for position in range(count)]


def _round_size(model: MammalModel, config: GenerationConfig) -> int:
    """Number of sequences that are sampled for one row at once, by the size of the decoder's cached keys and values."""
    shape = model.config
    numbers = 2 * shape.num_decoder_layers * config.max_new_tokens * shape.num_heads * shape.d_kv
    each = numbers * model.dtype.itemsize * (1 if config.guidance == 1 else 2)
    return max(_ROUND, min(_LARGEST_ROUND, _ROUND_BYTES // each))


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

    def __post_init__(self) -> None:
        self._wanted = self.config.num_return_sequences

    def search(self, progress: Progress | None) -> list[list[Sample] | Refused]:
        """Greedy and beam search. If sequences are checked, all beams are, and the valid ones are preferred."""
        checked = self.rules.invalid_reason is not None or self.rules.identity is not None
        config = replace(self.config, num_return_sequences=self.config.num_beams if checked else self._wanted)
        found = self._run(self.rows, config, None, progress, self.cut)
        most = None if self.rules.identity is not None else self._wanted
        return [given if isinstance(given, Refused) else _valid_first(given)[:most] for given in found]

    def sample(self, progress: Progress | None) -> list[list[Sample] | Refused]:
        """Samples every sequence once. This is done in rounds, so that any number of sequences fits in memory."""
        found: list[list[Sample] | Refused] = [[] for _ in self.rows]
        size = _round_size(self.model, self.config)
        for start in range(0, self._wanted, size):
            count = min(size, self._wanted - start)
            config = replace(self.config, num_return_sequences=count)
            draws = [[replace(first, copy=first.copy + start + i) for i in range(count)] for first in self.firsts]
            last = progress if start + count == self._wanted else None
            made = self._run(self.rows, config, draws, last, self.cut)
            for i, (held, given) in enumerate(zip(found, made, strict=True)):
                found[i] = given if isinstance(given, Refused) or isinstance(held, Refused) else held + given
        return found

    def draw_more(self, found: list[list[Sample] | Refused]) -> None:
        """Adds samples to rows with too few different ones, until they have enough or nothing new comes.

        Whether a row goes on depends on its own samples alone, so that its answers do not depend on the other rows.
        """
        count = min(_ROUND, max(8, self._wanted))
        config = replace(self.config, num_return_sequences=count)
        while open_rows := [row for row in range(len(found)) if self._lacks(found[row], self.rows[row])]:
            starts = {row: len(cast("list[Sample]", found[row])) for row in open_rows}
            draws = [[self._draw(row, starts[row] + i, 0) for i in range(count)] for row in open_rows]
            made = self._run([self.rows[row] for row in open_rows], config, draws, None)
            for row, given in zip(open_rows, made, strict=True):
                held = found[row]
                assert not isinstance(held, Refused) and not isinstance(given, Refused), "read once, read again"
                held += given
            if self.rules.invalid_reason is not None and self.rules.max_draws > 1:
                self.draw_again(found, starts)

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

    def draw_again(self, found: list[list[Sample] | Refused], starts: Mapping[int, int] | None = None) -> None:
        """Samples sequences again until they are kept, or were sampled `max_draws` times.

        If a sequence was valid at least once but never kept, the result is one of the valid ones.

        Args:
            starts: for some rows the first of their samples to look at. None: all samples of all rows.
        """
        config = replace(self.config, num_return_sequences=1)
        open_places = [
            (row, i)
            for row, i, sample in _each_sample(found)
            if (starts is None or (row in starts and i >= starts[row]))
            and not self._keeps(sample, self._draw(row, i, 0))
        ]
        for attempt in range(1, self.rules.max_draws):
            if not open_places:
                return
            draws = [[self._draw(row, i, attempt)] for row, i in open_places]
            made = self._run([self.rows[row] for row, _ in open_places], config, draws, None)
            still_open = []
            for (row, i), (draw,), given in zip(open_places, draws, made, strict=True):
                samples = found[row]
                assert not isinstance(samples, Refused) and not isinstance(given, Refused), "read once, read again"
                best = samples[i] if samples[i].problem is None and given[0].problem is not None else given[0]
                samples[i] = replace(best, draws=attempt + 1)
                if not self._keeps(given[0], draw):
                    still_open.append((row, i))
            open_places = still_open

    def report_lifted(self) -> None:
        """Logs a message if some sequences have repeats that `no_repeat_ngram_size` forbids."""
        if self._lifted:
            size = self.config.no_repeat_ngram_size
            run = f"a run of {size} tokens" if size > 1 else "1 token"
            logger.info("some sequences repeat %s: no_repeat_ngram_size left no allowed token there", run)

    def _draw(self, row: int, i: int, attempt: int) -> Draw:
        return replace(self.firsts[row], copy=self.firsts[row].copy + i, attempt=attempt)

    def _keeps(self, sample: Sample, draw: Draw) -> bool:
        if sample.problem is not None:
            return False
        return not self.rules.faithful or draw.chance() < math.exp(sample.log_share)

    def _run(
        self,
        rows: Sequence[Row],
        config: GenerationConfig,
        draws: Sequence[Sequence[Draw]] | None,
        progress: Progress | None,
        cut: set[int] | None = None,
    ) -> list[list[Sample] | Refused]:
        """Generates sequences for these rows. With `draws` they are sampled, and equal rows are not merged."""
        several = max(config.num_return_sequences, config.num_beams) * (2 if config.guidance != 1 else 1)
        narrow = replace(self.pace, rows=max(1, self.pace.rows // several))

        def answer(batch: Batch) -> Sequence[list[Sample]]:
            numbers = cast("tuple[int, ...]", batch.row_ids)  # `walk` uses positions of rows as their ids
            made = generate(
                self.model,
                batch.to(self.model.device),
                replace(config, allowed_ids=batch.candidates_V),
                grammar=self.rules.grammar,
                starts=None if self.rules.start is None else [self.rules.start(rows[number]) for number in numbers],
                without=self._without(rows, numbers) if config.guidance != 1 else None,
                draws=None if draws is None else [draw for number in numbers for draw in draws[number]],
            )
            self._lifted |= made.lifted
            return [
                self._samples(made, place, rows[number], ranked=config.num_beams > 1)
                for place, number in enumerate(numbers)
            ]

        return run(self.model, rows, self.encoder, answer, narrow, progress, merge=draws is None, cut=cut)

    def _without(self, rows: Sequence[Row], numbers: Sequence[int]) -> Batch | None:
        """Returns the batch of the same rows without their conditions."""
        if self.rules.without is None:
            return None
        examples, refused = self.rules.without.encode([rows[number] for number in numbers], numbers)
        assert not refused, "a row that can be read can be read without its conditions"
        return self.rules.without.collate(examples).to(self.model.device)

    def _samples(self, made: Generated, place: int, row: Row, *, ranked: bool) -> list[Sample]:
        samples = []
        for i, ids_T in enumerate(made.ids_list[place]):
            ids = tuple(ids_T.tolist())
            values = None if made.values_list is None else tuple(made.values_list[place][i].tolist())
            problem = None if self.rules.invalid_reason is None else self.rules.invalid_reason(ids, row)
            normalised = made.scores[place][i] if ranked else None
            share = 0.0 if made.log_shares is None else made.log_shares[place][i]
            score = made.log_likelihoods[place][i]
            samples.append(Sample(ids, score, values, normalised, problem=problem, log_share=share))
        return samples


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

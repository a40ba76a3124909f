"""Sequences for rows of any number: drawn again while they are not valid, the same in whatever batch.

Shapes: as in `mammal.tasks.batches.batch`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from mammal.decoding.generate_batch import Generated, GenerationConfig, generate
from mammal.decoding.random_numbers import Draw
from mammal.model.model import MammalModel
from mammal.rows.batched import Encoder, Pace, Progress, Refused, Row
from mammal.rows.run_model import run
from mammal.tasks.batches.batch import Batch
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.grammar.grammar import Grammar
from mammal.tasks.kinds.generation import GenerationTask
from mammal.tokenization.errors import TokenizerError

logger = logging.getLogger(__name__)

_ROUND = 64
"""Sequences drawn for one row at once."""

MAX_DRAWS = 20
"""How often a sequence is drawn at most, where answers are checked."""


@dataclass(frozen=True)
class Rules:
    """What sequences keep to, besides `GenerationConfig`.

    Attributes:
        grammar: which token may follow which.
        start: where the grammar starts for a row; None: for all where it says.
        invalid_reason: gives the reason why a finished sequence is not a valid answer to a row; None if it is valid.
        without: writes rows without their conditions; read where there is guidance.
        max_draws: how often a sequence that is not valid is drawn, the first time included.
        faithful: draw again, too, what the grammar made likelier than the model has it, so that sequences are
            distributed as the model's valid ones are. A sequence is kept with the chance that free draws had given it.
    """

    grammar: Grammar | None = None
    start: Callable[[Row], Any] | None = None
    invalid_reason: Callable[[Sequence[int], Row], str | None] | None = None
    without: Encoder | None = None
    max_draws: int = 1
    faithful: bool = False


NO_RULES = Rules()


@dataclass(frozen=True)
class Sample:
    """One generated sequence: its token ids up to the end.

    Attributes:
        score: its log-likelihood (`mammal.decoding.Generated`).
        values: one for each id, NaN where it carries none; None for models whose decoder gives no numbers.
        normalised_score: what beam search ranks by: the score divided by length ** length_penalty.
        draws: how often it was drawn.
        problem: why it is not valid; None where it is, or nobody checks.
        log_share: of a draw: as in `mammal.decoding.Generated`.
    """

    ids: tuple[int, ...]
    score: float | None
    values: tuple[float, ...] | None = None
    normalised_score: float | None = None
    draws: int = 1
    problem: str | None = None
    log_share: float = 0.0


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
) -> list[list[Sample] | Refused]:
    """`config.num_return_sequences` sequences for each row.

    Samples that are not valid are drawn again, up to `rules.max_draws` times; a beam's are passed over for valid ones
    further down. What never becomes valid stands in the result with its `problem`. Beams may hold fewer sequences than
    are asked for.

    Args:
        firsts: names the random numbers of each row's first sequence; those of the others count up its copies. Default:
            by `config.seed` and the row's position, so that rows that are equal get different ones.
    """
    config = replace(config, shares=rules.faithful)
    work = _Work(model, encoder, rows, config, rules, pace or Pace(), firsts or _by_position(config.seed, len(rows)))
    found = work.sample(progress) if config.do_sample else work.search(progress)
    if config.do_sample and rules.invalid_reason is not None and rules.max_draws > 1:
        valid_at_once = sum(sample.problem is None for _, _, sample in _samples(found))
        work.draw_again(found)
        _tell(found, valid_at_once)
    work.report_lifted()
    return found


def _by_position(seed: int, count: int) -> list[Draw]:
    return [Draw(seed, position) for position in range(count)]


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
    _wanted: int = field(init=False)
    _lifted: bool = False

    def __post_init__(self) -> None:
        self._wanted = self.config.num_return_sequences

    def search(self, progress: Progress | None) -> list[list[Sample] | Refused]:
        """Greedy and beam search; of a beam whose sequences are checked, all are looked at."""
        checked = self.rules.invalid_reason is not None
        config = replace(self.config, num_return_sequences=self.config.num_beams if checked else self._wanted)
        found = self._run(self.rows, config, None, progress)
        return [given if isinstance(given, Refused) else _valid_first(given)[: self._wanted] for given in found]

    def sample(self, progress: Progress | None) -> list[list[Sample] | Refused]:
        """The first draw of every sequence, in rounds, so that any number fits in memory."""
        found: list[list[Sample] | Refused] = [[] for _ in self.rows]
        for start in range(0, self._wanted, _ROUND):
            count = min(_ROUND, self._wanted - start)
            config = replace(self.config, num_return_sequences=count)
            draws = [[replace(first, copy=first.copy + start + i) for i in range(count)] for first in self.firsts]
            last = progress if start + count == self._wanted else None
            made = self._run(self.rows, config, draws, last)
            for i, (held, given) in enumerate(zip(found, made, strict=True)):
                found[i] = given if isinstance(given, Refused) or isinstance(held, Refused) else held + given
        return found

    def draw_again(self, found: list[list[Sample] | Refused]) -> None:
        """Draws what is not kept until something is, or it has been drawn `max_draws` times.

        Of a sequence that was valid once but never kept, a valid draw stays.
        """
        config = replace(self.config, num_return_sequences=1)
        open_places = [(row, i) for row, i, sample in _samples(found) if not self._keeps(sample, self._draw(row, i, 0))]
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
        """Logs that sequences repeat what `no_repeat_ngram_size` forbids, if some do."""
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
    ) -> list[list[Sample] | Refused]:
        """Sequences of these rows; with `draws`, drawn by these numbers, and equal rows each for itself."""
        several = max(config.num_return_sequences, config.num_beams) * (2 if config.guidance != 1 else 1)
        narrow = replace(self.pace, rows=max(1, self.pace.rows // several))

        def answer(batch: Batch) -> Sequence[list[Sample]]:
            numbers = cast("tuple[int, ...]", batch.row_ids)  # the walk names rows by their positions
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

        return run(self.model, rows, self.encoder, answer, narrow, progress, merge=draws is None)

    def _without(self, rows: Sequence[Row], numbers: Sequence[int]) -> Batch | None:
        """The batch of the same rows without their conditions."""
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


def _samples(found: Sequence[list[Sample] | Refused]) -> Iterator[tuple[int, int, Sample]]:
    """Row, place in it, sample."""
    for row, given in enumerate(found):
        if not isinstance(given, Refused):
            yield from ((row, i, sample) for i, sample in enumerate(given))


def _valid_first(samples: Sequence[Sample]) -> list[Sample]:
    """The valid ones in their order, then the others in theirs."""
    return sorted(samples, key=lambda sample: sample.problem is not None)


def _tell(found: Sequence[list[Sample] | Refused], first: int) -> None:
    """Says how many first draws were valid, and how many draws a sequence took."""
    draws = [sample.draws for _, _, sample in _samples(found)]
    if draws:
        failed = sum(sample.problem is not None for _, _, sample in _samples(found))
        logger.info(
            "%s of %s first draws are valid (%.2f %%); %.3f draws a sequence; %s never became valid",
            *(f"{first:,}", f"{len(draws):,}", 100 * first / len(draws), sum(draws) / len(draws), f"{failed:,}"),
        )


def spelt(task: GenerationTask, row_id: int, sample: Sample, row: Row) -> Prediction:
    """What a sequence that was generated for a row says, in the user's terms.

    A head over the whole vocabulary may produce ids that name no token: then the prediction has an `error`.
    """
    try:
        said = task.decode_generated(sample.ids, row_id, sample.score, sample.values)
    except TokenizerError as error:
        return Prediction(row_id, error=str(error))
    said = replace(said, draws=sample.draws, problem=sample.problem)
    return task.fill_in(said, sample.ids, row) if task.fill_lengths(row) else said

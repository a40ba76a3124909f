"""Generated sequences, the rules that they keep to, and their conversion to predictions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mammal.rows.batched import Encoder, Row
from mammal.tasks.batches.prediction import Prediction
from mammal.tokenization.errors import TokenizerError

if TYPE_CHECKING:
    from mammal.tasks.grammar.grammar import Grammar
    from mammal.tasks.kinds.generation import GenerationTask

MAX_DRAWS = 20
"""Default of how often a sequence is sampled at most until it is valid, if the answer has a grammar."""


@dataclass(frozen=True)
class Rules:
    """Rules for the generated sequences, in addition to `GenerationConfig`.

    Attributes:
        grammar: decides which tokens may follow. None: all.
        start: returns the first state of the grammar for a row. None: the same state for all rows.
        invalid_reason: returns why a finished sequence is not a valid answer to a row, and None if it is valid.
        without: encodes rows without their conditions. Used by guidance.
        max_draws: how often a sequence is sampled at most until it is valid, the first time included.
        faithful: also sample again to correct for the grammar, which makes some sequences likelier than they are for
            the model. A valid sequence is kept with a probability of its likelihood without the grammar divided by
            that with the grammar, so that sequences are distributed like the valid sequences of the model.
        identity: returns what sequences that are the same answer to a row have in common, and None for a sequence that
            is not an answer. Each answer is then kept once. None: sequences can be the same.
        consensus: number of sequences that are sampled for a row, whose consensus is its only answer
            (`mammal.generation.consensus`). 0: each sequence is an answer.
    """

    grammar: Grammar | None = None
    start: Callable[[Row], Any] | None = None
    invalid_reason: Callable[[Sequence[int], Row], str | None] | None = None
    without: Encoder | None = None
    max_draws: int = 1
    faithful: bool = False
    identity: Callable[[Sample, Row], Hashable | None] | None = None
    consensus: int = 0

    @property
    def redraws(self) -> bool:
        """Whether a sequence can be sampled more than once."""
        return self.invalid_reason is not None and self.max_draws > 1


NO_RULES = Rules()


@dataclass(frozen=True)
class Sample:
    """One generated sequence.

    Attributes:
        ids: its token ids up to the end.
        score: its log-likelihood, in nats (`mammal.decoding.Generated`). None for a consensus.
        values: a number for each id, NaN for an id without a number. None if the decoder of the model predicts no
            numbers.
        normalised_score: the value by which beam search ranks: the score divided by length ** length_penalty.
        draws: how often it was sampled.
        problem: why it is not valid. None if it is valid, or if answers are not checked.
        log_share: for a sampled sequence, as in `mammal.decoding.Generated`.
    """

    ids: tuple[int, ...]
    score: float | None
    values: tuple[float, ...] | None = None
    normalised_score: float | None = None
    draws: int = 1
    problem: str | None = None
    log_share: float = 0.0


def sample_prediction(task: GenerationTask, row_id: int, sample: Sample, row: Row) -> Prediction:
    """Converts a generated sequence to a prediction in the units and labels of the user's file.

    A head over the whole vocabulary can produce ids without a token. The prediction then has an `error`.

    Args:
        task: task that reads the answer.
        row_id: id of the prediction.
        sample: the sequence.
        row: the row for which it was generated.
    """
    try:
        said = task.decode_generated(sample.ids, row_id, sample.score, sample.values)
    except TokenizerError as error:
        return Prediction(row_id, error=str(error))
    said = replace(said, draws=sample.draws, problem=sample.problem)
    return task.fill_in(said, sample.ids, row) if task.fill_lengths(row) else said

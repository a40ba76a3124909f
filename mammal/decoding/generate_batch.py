"""Generation: greedy, sampling and beam search.

Greedy and beam search produce the same ids as `generate` of `transformers`. Samples depend on the seed and on the id of
the row, but not on the other rows of the batch.

Shapes: B encoder rows, C sequences of each, D = B * C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from mammal.decoding.config import GenerationConfig
from mammal.decoding.generate_stream import Room, generate_each
from mammal.decoding.random_numbers import Draw
from mammal.decoding.slots import Finished
from mammal.decoding.waiting import Prompts
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch
from mammal.tasks.grammar.grammar import Grammar, State

__all__ = ["Generated", "GenerationConfig", "generate"]


@dataclass(frozen=True)
class Generated:
    """Generated sequences: a list for each row, with one entry for each of its sequences; the best first if ranked.

    Attributes:
        ids_list: token ids, int64, without the start token; `<EOS>` is included if it was produced. A row has fewer
            sequences than requested if beam search found that no more exist.
        scores: scores that rank the sequences. Greedy search and sampling: the log-likelihood. Beam search: the
            log-likelihood, reduced by `repetition_penalty` and divided by length ** length_penalty; beams in groups are
            ranked without that penalty.
        log_likelihoods: log-likelihood of the ids (natural logarithm, summed) at temperature 1, over the allowed ids,
            or over all ids of the grammar. Tokens that the grammar excludes at a step keep their probability, so a
            sequence has the same log-likelihood as without a grammar, even if the grammar leaves only one token. With
            guidance: under the guided distribution.
        values_list: values of the ids, float32, NaN for ids without a value; None for models without a decoder scalar
            head.
        log_shares: for sampling with a grammar: log of the probability of the sequence when sampling without the
            grammar, divided by its probability when sampling with it (natural logarithm, at most 0); 0 without a
            grammar. Keeping each sequence with this probability gives sequences with the model's own distribution.
            None unless `GenerationConfig.shares` is set, and without sampling.
        lifted: whether `no_repeat_ngram_size` was ignored at some step, because it left no allowed token.
    """

    ids_list: list[list[np.ndarray]]
    scores: list[list[float]]
    log_likelihoods: list[list[float]]
    values_list: list[list[np.ndarray]] | None = None
    log_shares: list[list[float]] | None = None
    lifted: bool = False


@torch.inference_mode()
def generate(
    model: MammalModel,
    batch: Batch,
    config: GenerationConfig | None = None,
    *,
    grammar: Grammar | None = None,
    starts: Sequence[State] | None = None,
    without: Batch | None = None,
    draws: Sequence[Draw] | None = None,
) -> Generated:
    """Generates sequences for every encoder row of a batch.

    Args:
        model: the model.
        batch: encoded prompts, B rows; its decoder fields are not read.
        config: settings; None: greedy search with the defaults.
        grammar: rules of which ids may follow; replaces `config.allowed_ids`. None: no rules.
        starts: state of the grammar before the first token of each row, B of them; None: `grammar.start()`.
        without: the same rows without their conditions; required if `config.guidance` is not 1, else not read.
        draws: identifies the random numbers of each sequence, D of them; None: identified by `config.seed`, the id of
            the row (its position if it has no id) and the number of the copy.

    Returns:
        The sequences of each row.

    Raises:
        ConfigError: an allowed id is outside the vocabulary, `max_new_tokens` is too small for the grammar, or guidance
            is requested and `without` is None.
    """
    config = config or GenerationConfig()
    places, copies = range(len(batch)), config.num_return_sequences
    names = batch.row_ids or places
    assert draws is None or len(draws) == len(batch) * copies, "one Draw for each sequence"
    found: list[dict[int, Finished]] = [{} for _ in places]

    def draw(place: Any, number: int) -> Draw:
        return Draw(config.seed, names[place], number) if draws is None else draws[place * copies + number]

    def keep(sequence: Finished) -> None:
        found[cast(int, sequence.name)][sequence.number] = sequence

    room = Room(sequences=len(batch) * max(copies, config.num_beams), tokens=batch.ids_BL.numel())
    prompts = [Prompts(batch, places, starts, without)]
    lifted = generate_each(model, prompts, config, keep, grammar=grammar, draw=draw, room=room)
    return _collected([[of_row[number] for number in sorted(of_row)] for of_row in found], lifted)


def _collected(found: list[list[Finished]], lifted: bool) -> Generated:
    """The sequences of each row."""
    sequences = [sequence for of_row in found for sequence in of_row]
    has_values = any(sequence.values is not None for sequence in sequences)
    has_shares = any(sequence.log_share is not None for sequence in sequences)
    return Generated(
        [[sequence.ids for sequence in of_row] for of_row in found],
        [[sequence.score for sequence in of_row] for of_row in found],
        [[sequence.log_likelihood for sequence in of_row] for of_row in found],
        [[cast(np.ndarray, sequence.values) for sequence in of_row] for of_row in found] if has_values else None,
        [[cast(float, sequence.log_share) for sequence in of_row] for of_row in found] if has_shares else None,
        lifted,
    )

"""Generation: greedy, sampling and beam search.

Greedy and beam search produce the same ids as `generate` of `transformers`. Samples depend on the seed and on the id of
the row, but not on the other rows of the batch.

Shapes: B encoder rows, C sequences of each, D = B * C, V allowed ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mammal.decoding.allowed_tokens import Choices
from mammal.decoding.beam_search import BeamRules, beam_search
from mammal.decoding.config import GenerationConfig
from mammal.decoding.limits import LengthLimits
from mammal.decoding.random_numbers import Draw
from mammal.decoding.repeats import Repeats
from mammal.decoding.sampling import Sampling
from mammal.decoding.search import Sequences, search
from mammal.decoding.steps import DecodingSteps
from mammal.decoding.token_head import TokenHead
from mammal.errors import ConfigError
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
    steps = _steps(model, batch, config, grammar, starts, without)
    if config.num_beams > 1:
        rules = BeamRules(
            config.num_beam_groups, config.diversity_penalty, config.early_stopping, config.length_penalty
        )
        found = beam_search(steps, rules)
    else:
        found = search(steps, _sampling(model, batch, config, draws) if config.do_sample else None)
    return replace(_collect(found, config.num_return_sequences, model, steps.limits), lifted=steps.lifted)


def _steps(
    model: MammalModel,
    batch: Batch,
    config: GenerationConfig,
    grammar: Grammar | None,
    starts: Sequence[State] | None,
    without: Batch | None,
) -> DecodingSteps:
    if grammar is not None and starts is None and config.max_new_tokens < grammar.least_new_tokens:
        what = f"max_new_tokens is {config.max_new_tokens}, but a complete sequence has at least"
        raise ConfigError(f"{what} {grammar.least_new_tokens} tokens, <EOS> included")
    memories = [model.encode(batch)]
    if config.guidance != 1:
        if without is None:
            raise ConfigError("guidance needs the same rows without their conditions")
        memories.append(model.encode(without))
    limits = LengthLimits(
        config.max_new_tokens,
        model.config.eos_token_id,
        model.config.pad_token_id,
        config.scalar_id,
        config.min_new_tokens,
        tuple(config.stop_ids),
    )
    head = TokenHead(model, _allowed(model, config.allowed_ids if grammar is None else grammar.ids_V))
    copies = config.num_beams if config.num_beams > 1 else config.num_return_sequences
    choices = Choices(head, limits, grammar, _starts(grammar, starts, len(batch), copies), model.device)
    return DecodingSteps(
        model,
        memories,
        head,
        limits,
        copies,
        choices,
        guidance=config.guidance,
        repeats=_repeats(model, config, head, len(batch) * copies),
        by_logits=config.num_beams == 1,
    )


def _repeats(model: MammalModel, config: GenerationConfig, head: TokenHead, rows: int) -> Repeats | None:
    if config.repetition_penalty == 1 and config.no_repeat_ngram_size == 0:
        return None
    rules = (config.repetition_penalty, config.no_repeat_ngram_size)
    return Repeats(*rules, head, model.config.decoder_start_token_id, rows, config.max_new_tokens, model.device)


def _starts(grammar: Grammar | None, starts: Sequence[State] | None, rows: int, copies: int) -> list[State]:
    """State of the grammar before the first token of each sequence."""
    if grammar is None:
        return []
    return [start for start in (starts or [grammar.start()] * rows) for _ in range(copies)]


def _sampling(model: MammalModel, batch: Batch, config: GenerationConfig, draws: Sequence[Draw] | None) -> Sampling:
    if draws is None:
        names = batch.row_ids or range(len(batch))
        draws = [Draw(config.seed, name, copy) for name in names for copy in range(config.num_return_sequences)]
    assert len(draws) == len(batch) * config.num_return_sequences, "one Draw for each sequence"
    uniforms_DT = torch.from_numpy(np.stack([draw.uniforms(config.max_new_tokens) for draw in draws]))
    return Sampling(
        uniforms_DT.to(model.device), config.temperature, config.top_k, config.top_p, config.min_p, config.shares
    )


def _allowed(model: MammalModel, ids: Sequence[int] | np.ndarray | Tensor | None) -> Tensor | None:
    if ids is None:
        return None
    allowed_V = torch.as_tensor(ids, dtype=torch.int64, device=model.device).unique()
    if int(allowed_V.min()) < 0 or int(allowed_V.max()) >= model.config.vocab_size:
        raise ConfigError(f"allowed ids must be in 0 … {model.config.vocab_size - 1}")
    return allowed_V


def _collect(found: Sequences, returns: int, model: MammalModel, limits: LengthLimits) -> Generated:
    ids_BCT = found.ids_BCT[:, :returns]
    ended_BCT = limits.ends(ids_BCT).cpu().numpy()
    kept = [np.flatnonzero(found_C) for found_C in found.found_BC[:, :returns].cpu().numpy()]
    lengths_BC = np.where(ended_BCT.any(axis=2), ended_BCT.argmax(axis=2) + 1, ended_BCT.shape[2])
    values = None
    if limits.scalar_id is not None and model.decoder_scalars_head is not None:
        values = _cut(found.values_BCT.cpu().numpy(), lengths_BC, kept)
    scores, likelihoods = _kept(found.scores_BC, kept), _kept(found.likelihoods_BC, kept)
    shares = None if found.shares_BC is None else _kept(found.shares_BC, kept)
    return Generated(_cut(ids_BCT.cpu().numpy(), lengths_BC, kept), scores, likelihoods, values, shares)


def _kept(numbers_BC: Tensor, kept: list[np.ndarray]) -> list[list[float]]:
    return [row[places].tolist() for row, places in zip(numbers_BC.cpu().numpy(), kept, strict=True)]


def _cut(array_BCT: np.ndarray, lengths_BC: np.ndarray, kept: list[np.ndarray]) -> list[list[np.ndarray]]:
    """The kept sequences of each row, each cut after its last token."""
    return [[array_BCT[row, i, : lengths_BC[row, i]] for i in places] for row, places in enumerate(kept)]

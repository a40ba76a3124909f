"""Generation: greedy, sampling and beam search, and how likely a model finds a given target.

Greedy and beam search give the ids that `transformers`' `generate` gives. Samples depend on the seed and on a row's
name, never on the batch it came in.

Shapes: B encoder rows, C sequences of each, D = B * C, V allowed ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mammal.errors import ConfigError
from mammal.model.beam import beam_search
from mammal.model.head import TokenHead
from mammal.model.model import MammalModel
from mammal.model.search import Limits, Sampling, Sequences, search
from mammal.tasks.batch import IGNORE, Batch

_READS_AT_ONCE = 256


@dataclass(frozen=True)
class GenerationConfig:
    """How to generate.

    Attributes:
        max_new_tokens: most tokens of a sequence, `<EOS>` included.
        num_beams: 1 for greedy or sampling, more for beam search.
        do_sample: draw each token instead of taking the best.
        temperature, top_k, top_p: of the draws: applied in this order, as in `transformers`.
        num_return_sequences: sequences of each row; at most `num_beams` in beam search, 1 in greedy.
        early_stopping: beam search: stop a row as soon as `num_beams` sequences are done.
        length_penalty: beam search: scores are divided by length to this power.
        allowed_ids: ids that may be produced (put `<EOS>` among them); None: the whole vocabulary.
        seed: of the draws.
        scalar_id: id of `<SCALAR>`, for models whose decoder has a scalar head: each one produced gets a value.
    """

    max_new_tokens: int = 20
    num_beams: int = 1
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    num_return_sequences: int = 1
    early_stopping: bool = False
    length_penalty: float = 1.0
    allowed_ids: Sequence[int] | np.ndarray | Tensor | None = None
    seed: int = 0
    scalar_id: int | None = None

    def __post_init__(self) -> None:
        for problem, wrong in {
            "max_new_tokens must be at least 1": self.max_new_tokens < 1,
            "num_beams must be at least 1": self.num_beams < 1,
            "num_return_sequences must be at least 1": self.num_return_sequences < 1,
            "temperature must be above 0": not self.temperature > 0,
            "top_k must be at least 1": self.top_k is not None and self.top_k < 1,
            "top_p must lie in (0, 1]": self.top_p is not None and not 0 < self.top_p <= 1,
            "sampling and beam search exclude each other": self.do_sample and self.num_beams > 1,
            "num_return_sequences can't exceed num_beams": 1 < self.num_beams < self.num_return_sequences,
            "greedy generation gives one sequence a row; set do_sample or num_beams": (
                self.num_return_sequences > 1 and self.num_beams == 1 and not self.do_sample
            ),
            "no id is allowed": self.allowed_ids is not None and len(self.allowed_ids) == 0,
        }.items():
            if wrong:
                raise ConfigError(problem)


@dataclass(frozen=True)
class Generated:
    """What was generated, row by row, return by return.

    Attributes:
        ids_list: int64 ids without the start token, `<EOS>` included where it was reached.
        scores: greedy and sampling: log-likelihood of the ids under the model (over the allowed ids, at temperature 1);
            beam search: the same divided by length ** length_penalty.
        values_list: float32 values of the ids, NaN where an id carries none; None for models without a decoder scalar
            head.
    """

    ids_list: list[list[np.ndarray]]
    scores: list[list[float]]
    values_list: list[list[np.ndarray]] | None = None


@torch.inference_mode()
def generate(model: MammalModel, batch: Batch, config: GenerationConfig | None = None) -> Generated:
    """Generates for every encoder row of a batch; its decoder fields are not read.

    Raises:
        ConfigError: an allowed id lies outside the vocabulary.
    """
    config = config or GenerationConfig()
    memory = model.encode(batch)
    head = TokenHead(model, _allowed(model, config.allowed_ids))
    limits = Limits(config.max_new_tokens, model.config.eos_token_id, model.config.pad_token_id, config.scalar_id)
    if config.num_beams > 1:
        found = beam_search(model, memory, head, limits, config.num_beams, config.early_stopping, config.length_penalty)
    else:
        copies = config.num_return_sequences
        sampling = None
        if config.do_sample:
            uniforms_DT = _uniforms(batch, copies, config)
            sampling = Sampling(uniforms_DT.to(model.device), config.temperature, config.top_k, config.top_p)
        found = search(model, memory, head, limits, copies, sampling)
    return _collect(found, config.num_return_sequences, model, limits)


@torch.inference_mode()
def sequence_log_likelihood(model: MammalModel, batch: Batch) -> Tensor:
    """float32 [D], the log-probability of `batch.labels_DR` at the batch's reads, summed over each decoder row.

    Probabilities are over `batch.candidates_V`, or over the whole vocabulary; logits are held for few reads at a time.

    Raises:
        ConfigError: the batch has no labels, or one that is not among its candidates.
    """
    if batch.labels_DR is None:
        raise ConfigError("a likelihood needs the target's labels")
    reads = model.reads(batch, model.encode(batch))
    labels_M = batch.labels_DR.reshape(-1)
    if reads.slots_M is not None:
        labels_M = labels_M.index_select(0, reads.slots_M)
    counted_M = labels_M != IGNORE
    targets_M = _places(labels_M, batch.candidates_V, counted_M)
    parts = []
    for start in range(0, len(targets_M), _READS_AT_ONCE):
        part = slice(start, start + _READS_AT_ONCE)
        logits_XV = model.token_logits(reads.states_MW[part], batch.mode, batch.candidates_V).float()
        chosen_X = logits_XV.gather(1, targets_M[part].unsqueeze(1)).squeeze(1)
        parts.append(chosen_X - logits_XV.logsumexp(dim=1))
    log_probs_M = torch.cat(parts) if parts else targets_M.new_zeros(0).float()
    return reads.scatter(log_probs_M.masked_fill(~counted_M, 0.0)).sum(dim=1)


def _places(labels_M: Tensor, candidates_V: Tensor | None, counted_M: Tensor) -> Tensor:
    """Column of each label among the candidates; 0 where it doesn't count."""
    labels_M = labels_M.masked_fill(~counted_M, 0)
    if candidates_V is None:
        return labels_M
    places_M = torch.searchsorted(candidates_V, labels_M).clamp(max=len(candidates_V) - 1)
    strangers = counted_M & (candidates_V[places_M] != labels_M)
    if bool(strangers.any()):
        raise ConfigError(f"id {int(labels_M[strangers][0])} of the target is not among the candidates")
    return places_M


def _allowed(model: MammalModel, ids: Sequence[int] | np.ndarray | Tensor | None) -> Tensor | None:
    if ids is None:
        return None
    allowed_V = torch.as_tensor(ids, dtype=torch.int64, device=model.device).unique()
    if int(allowed_V.min()) < 0 or int(allowed_V.max()) >= model.config.vocab_size:
        raise ConfigError(f"allowed ids must lie in 0 … {model.config.vocab_size - 1}")
    return allowed_V


def _uniforms(batch: Batch, copies: int, config: GenerationConfig) -> Tensor:
    """float64 [D, max_new_tokens] draws from [0, 1), the same for the same seed, row name and copy."""
    names = batch.row_ids or range(len(batch))
    rows = []
    for name in names:
        for copy in range(copies):
            digest = hashlib.blake2b(f"{config.seed}/{copy}/{name}".encode(), digest_size=16).digest()
            generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
            rows.append(generator.random(config.max_new_tokens))
    return torch.from_numpy(np.stack(rows))


def _collect(found: Sequences, returns: int, model: MammalModel, limits: Limits) -> Generated:
    ids_BCT = found.ids_BCT[:, :returns].cpu().numpy()
    lengths = [[_length(ids_T, limits.eos_id) for ids_T in row] for row in ids_BCT]
    values = None
    if limits.scalar_id is not None and model.decoder_scalars_head is not None:
        values = _cut(found.values_BCT[:, :returns].cpu().numpy(), lengths)
    return Generated(_cut(ids_BCT, lengths), found.scores_BC[:, :returns].tolist(), values)


def _cut(array_BCT: np.ndarray, lengths: list[list[int]]) -> list[list[np.ndarray]]:
    return [
        [sequence_T[:length] for sequence_T, length in zip(row, row_lengths, strict=True)]
        for row, row_lengths in zip(array_BCT, lengths, strict=True)
    ]


def _length(ids_T: np.ndarray, eos_id: int) -> int:
    ends = np.flatnonzero(ids_T == eos_id)
    return int(ends[0]) + 1 if len(ends) else len(ids_T)

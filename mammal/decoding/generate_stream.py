"""Generation for any number of prompts in bounded memory: ended sequences leave the batch, and waiting ones enter.

The sequences of a prompt depend neither on the other sequences in the batch nor on when they enter it.

Shapes: B prompts, C rows of each, D = B * C, V allowed ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mammal.decoding.ages import Ages
from mammal.decoding.allowed_tokens import Choices
from mammal.decoding.beam_search import BeamRules, BeamSearch
from mammal.decoding.config import GenerationConfig
from mammal.decoding.drafts import LONGEST, ON_CPU, ON_GPU, Drafts
from mammal.decoding.limits import LengthLimits
from mammal.decoding.random_numbers import Draw
from mammal.decoding.repeats import Repeats
from mammal.decoding.sampling import Sampling
from mammal.decoding.search import search
from mammal.decoding.slots import Demand, Finish, Slots
from mammal.decoding.steps import DecodingSteps
from mammal.decoding.token_head import TokenHead
from mammal.decoding.waiting import Entering, Prompts, Waiting
from mammal.errors import ConfigError
from mammal.model.model import MammalModel
from mammal.tasks.grammar.grammar import Grammar


@dataclass(frozen=True)
class Room:
    """How much is computed at once. This changes speed, memory and float noise, but not the results.

    Attributes:
        sequences: maximal number of sequences in the batch, at least one prompt's beams.
        tokens: number of tokens of the first prompts in the batch. Up to twice as many, padding counted, are accepted
            if longer prompts take the place of others.
    """

    sequences: int = 256
    tokens: int = 8_192

    def first(self, copies: int, already: int, total: int) -> bool:
        """Whether a prompt fits into a new batch with rows for `copies` sequences of each prompt; `total` tokens."""
        return already == 0 or ((already + 1) * copies <= self.sequences and total <= self.tokens)

    def later(self, copies: int, prompts: int, tokens: int) -> bool:
        """Whether a prompt can take the place of another in a batch of so many prompts.

        A batch that is too small for short prompts takes none of them, so that they get a larger one.
        """
        largest = prompts * copies + copies > self.sequences
        return prompts * tokens <= 2 * self.tokens and (largest or 4 * prompts * tokens >= self.tokens)


@torch.inference_mode()
def generate_each(
    model: MammalModel,
    prompts: Iterable[Prompts],
    config: GenerationConfig,
    finish: Finish,
    *,
    grammar: Grammar | None = None,
    draw: Callable[[object, int], Draw] | None = None,
    room: Room | None = None,
) -> bool:
    """Generates sequences for prompts. Nothing is kept of a sequence after `finish` returned.

    Args:
        model: the model.
        prompts: encoded prompts. A batch of them is read when its first prompt is needed.
        config: settings.
        finish: gets each sequence when it ends. If it returns random numbers, the sequence is sampled again with them.
        grammar: rules of which ids may follow; replaces `config.allowed_ids`. None: no rules.
        draw: for sampling: returns the random numbers of a sequence, for the name of its prompt and its number.
        room: how much is computed at once. Default: 256 sequences and 8,192 tokens.

    Returns:
        Whether `no_repeat_ngram_size` was ignored at some step, because it left no allowed token.

    Raises:
        ConfigError: as for `mammal.decoding.generate`.
    """
    room = room or Room()
    waiting = Waiting(model, prompts, guided=config.guidance != 1)
    copies = config.num_beams if config.num_beams > 1 else min(config.num_return_sequences, room.sequences)
    enter = _prompts_enter(model, copies)
    work = _Work(model, config, grammar, copies)
    lifted = False
    while (first := waiting.take(lambda already, _, total: room.first(copies, already, total))) is not None:
        steps = work.steps(first)
        rows = len(first.names)

        def fits(tokens: int, rows: int = rows) -> bool:
            return enter and room.later(copies, rows, tokens)

        if config.num_beams > 1:
            BeamSearch(steps, work.beam_rules, first, work.start, waiting, fits, finish).run()
        else:
            demand = Demand(config.num_return_sequences, draw if config.do_sample else None, work.start)
            search(steps, Slots(steps, first, demand, waiting, fits), work.sampling, finish)
        lifted |= steps.lifted
    return lifted


def _prompts_enter(model: MammalModel, copies: int) -> bool:
    """Whether prompts take the places of others, and not only of a whole batch.

    On a CPU they do so one sequence at a time. With several sequences or beams of each prompt, attention of sequences
    that differ in length takes longer than the steps that are saved. On a GPU the number of steps decides.
    """
    return copies == 1 or model.device.type != "cpu"


class _Work:
    """What all batches of a call share."""

    def __init__(self, model: MammalModel, config: GenerationConfig, grammar: Grammar | None, copies: int):
        self._model, self._config, self._grammar, self._copies = model, config, grammar, copies
        self._limits = LengthLimits(
            config.max_new_tokens,
            model.config.eos_token_id,
            model.config.pad_token_id,
            config.scalar_id,
            config.min_new_tokens,
            tuple(config.stop_ids),
        )
        self._head = TokenHead(model, _allowed(model, config.allowed_ids if grammar is None else grammar.ids_V))
        self.start = None if grammar is None else grammar.start()
        self.sampling: Sampling | None = None
        if config.do_sample:
            self.sampling = Sampling(config.temperature, config.top_k, config.top_p, config.min_p, config.shares)
        self.beam_rules = BeamRules(
            config.num_beam_groups,
            config.diversity_penalty,
            config.early_stopping,
            config.length_penalty,
            config.num_return_sequences,
        )

    def steps(self, first: Entering) -> DecodingSteps:
        """The steps of a batch that starts with these prompts."""
        model, config, grammar = self._model, self._config, self._grammar
        if grammar is not None and first.starts is None and config.max_new_tokens < grammar.least_new_tokens:
            what = f"max_new_tokens is {config.max_new_tokens}, but a complete sequence has at least"
            raise ConfigError(f"{what} {grammar.least_new_tokens} tokens, <EOS> included")
        ages = Ages(len(first.names) * self._copies, config.max_new_tokens, model.device)
        starts = first.starts or [self.start] * len(first.names)
        states = [] if grammar is None else [start for start in starts for _ in range(self._copies)]
        return DecodingSteps(
            model,
            first.keys,
            self._head,
            self._limits,
            ages,
            self._copies,
            Choices(self._head, self._limits, grammar, states, model.device),
            guidance=config.guidance,
            repeats=self._repeats(ages),
            by_logits=config.num_beams == 1,
            drafts=self._drafts(first),
        )

    def _drafts(self, first: Entering) -> Drafts | None:
        """Drafts for a batch of one sequence, if they are not switched off."""
        longest = LONGEST if self._config.drafts in (None, True) else int(self._config.drafts or 0)
        if longest == 0 or len(first.names) * self._copies > 1:
            return None
        allowed_V = None if self._head.allowed_V is None else self._head.allowed_V.cpu().numpy()
        cost = ON_CPU if self._model.device.type == "cpu" else ON_GPU
        drafts = Drafts(self._limits, allowed_V, longest, cost)
        drafts.enter(first.ids[0])
        return drafts

    def _repeats(self, ages: Ages) -> Repeats | None:
        config, model = self._config, self._model
        if config.repetition_penalty == 1 and config.no_repeat_ngram_size == 0:
            return None
        rules = (config.repetition_penalty, config.no_repeat_ngram_size)
        return Repeats(*rules, self._head, model.config.decoder_start_token_id, ages, model.device)


def _allowed(model: MammalModel, ids: Sequence[int] | np.ndarray | Tensor | None) -> Tensor | None:
    if ids is None:
        return None
    allowed_V = torch.as_tensor(ids, dtype=torch.int64, device=model.device).unique()
    if int(allowed_V.min()) < 0 or int(allowed_V.max()) >= model.config.vocab_size:
        raise ConfigError(f"allowed ids must be in 0 … {model.config.vocab_size - 1}")
    return allowed_V

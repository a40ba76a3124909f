"""Likelihood of each allele of a site, given the bases around it, by a model that was trained to fill in hidden spans.

The site and `flank` bases on each side are hidden: one sentinel token replaces them, in the prompt of the task that
trained the model to fill in hidden spans (`mammal.tasks.kinds.denoising`). The decoder then computes the likelihood of
the hidden bases with the reference allele and with the alternate allele:

    input        ACGTTGAC <SENTINEL_ID_0> GGATTACA <EOS>          the same for both alleles
    reference    <SENTINEL_ID_0> CAATG <EOS>                      log P(reference), summed over its tokens
    alternate    <SENTINEL_ID_0> CAGTG <EOS>                      log P(alternate)

Both alleles are scored in the same context, which contains neither of them. So the difference
log P(alternate) - log P(reference) is the masked-marginal score of Meier et al. 2021 (ESM-1v, doi
10.1101/2021.07.09.450648), with a span instead of a single mask. It is a pseudo-likelihood ratio, not the ratio of the
probabilities of two whole sequences. The hidden flanking bases make the span as long as the spans of training, and they
show how well the allele fits its neighbours. Flanking bases before the site come first and have the same probability
for both alleles.

Alleles of different length are compared without correction: each sum runs over the tokens of its own span, `<EOS>`
included, so each additional base lowers the likelihood of the longer allele. The ratios of an insertion and of a
substitution are therefore not on the same scale, and dividing by length would not correct this.

All alleles that are hidden in the same context are read together: the encoder reads the context once, and the decoder
computes each hidden text once, whatever the number of alternates of a site.

Shapes: B contexts, D decoder rows, L input tokens, T target tokens.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from mammal.errors import DataError
from mammal.rows.batched import Encoded, Encoder, Pace, Refused, Row, encode_each
from mammal.rows.run_model import run
from mammal.variants.prompt import DnaPrompt

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.batch import Batch
    from mammal.tasks.batches.example import Example, Target
    from mammal.tasks.dna.alleles import AllelePair
    from mammal.tasks.kinds.denoising import DenoisingTask
    from mammal.tokenization.encoding import Encoding

CONTEXT = "context"
"""Column that holds a context in the rows that are computed."""

Likelihoods = tuple[float, float]
"""log P(reference) and log P(alternate), in nats."""


@dataclass(frozen=True)
class Context:
    """The visible bases around a hidden site, and what can be hidden in it.

    Attributes:
        before: visible bases before the hidden ones.
        after: visible bases behind them.
        texts: hidden bases, each a text that fills in the site.
    """

    before: str
    after: str
    texts: tuple[str, ...]

    @property
    def visible(self) -> tuple[str, str]:
        return self.before, self.after


Scored = Mapping[str, float]
"""Hidden text -> its log-likelihood in nats."""


def allele_likelihoods(
    model: MammalModel, task: DenoisingTask, pairs: Sequence[AllelePair], *, flank: int, pace: Pace
) -> list[Likelihoods | Refused]:
    """Computes the log-likelihoods of both alleles of each pair; equal contexts and alleles are computed once.

    Args:
        model: a model that was trained on `task`.
        task: a denoising task whose prompt contains only DNA.
        pairs: pairs of alleles with their window.
        flank: number of bases that are hidden on each side of the alleles, fewer at the ends of the window; at least 1,
            so that something is hidden even for an allele without bases.
        pace: how many rows are computed at once.

    Returns:
        For each pair log P(reference) and log P(alternate) in nats, or the reason why it has none.
    """
    from mammal.decoding.likelihood import sequence_log_likelihood

    def answer(batch: Batch) -> list[list[float]]:
        scores_D = sequence_log_likelihood(model, batch.to(model.device)).double().cpu()
        rows_D = torch.arange(len(batch)) if batch.decoder_rows_D is None else batch.decoder_rows_D.cpu()
        counts_B = torch.bincount(rows_D, minlength=len(batch)).tolist()
        return [part.tolist() for part in scores_D.split(counts_B)]

    def scored(contexts: Sequence[Context]) -> list[Scored | Refused]:
        found = run(model, [{CONTEXT: context} for context in contexts], HiddenSite(task, flank), answer, pace, None)
        return [
            given if isinstance(given, Refused) else dict(zip(context.texts, given, strict=True))
            for context, given in zip(contexts, found, strict=True)
        ]

    alone = [_context(pair, flank) for pair in pairs]
    texts: dict[tuple[str, str], dict[str, None]] = {}
    for context in alone:
        texts.setdefault(context.visible, {}).update(dict.fromkeys(context.texts))
    shared = scored([Context(*visible, tuple(known)) for visible, known in texts.items()])
    found = dict(zip(texts, shared, strict=True))
    # An allele that can't be read must not take the answer from the others of its site.
    again = [context for context in alone if isinstance(found[context.visible], Refused)]
    by_pair = dict(zip(again, scored(again), strict=True))
    return [_of_pair(by_pair.get(context, found[context.visible]), context) for context in alone]


def _context(pair: AllelePair, flank: int) -> Context:
    """The visible bases of a pair, and the hidden bases with the reference and with the alternate allele."""
    cut = max(0, len(pair.before) - flank)
    before, after = pair.before[cut:], pair.after[:flank]
    texts = (before + pair.ref + after, before + pair.alt + after)
    return Context(pair.before[:cut], pair.after[flank:], texts)


def _of_pair(scores: Scored | Refused, context: Context) -> Likelihoods | Refused:
    if isinstance(scores, Refused):
        return scores
    reference, alternate = context.texts
    return scores[reference], scores[alternate]


@dataclass(frozen=True)
class HiddenSite(Encoder):
    """Encodes a context as one input in which the site is hidden, and one target for each text that fills it in."""

    task: DenoisingTask
    flank: int

    @cached_property
    def prompt(self) -> DnaPrompt:
        return DnaPrompt(self.task)

    def key(self, row: Row) -> Hashable:
        return row[CONTEXT]

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        return encode_each(self._example, [row[CONTEXT] for row in rows], row_ids)

    def collate(self, examples: Sequence[Example]) -> Batch:
        return self.task.collate(examples)

    def _example(self, context: Context, row_id: int) -> Example:
        from mammal.tasks.batches.example import Example

        if not context.before and not context.after:
            what = f"no base of the window is visible if the site and {self.flank} bases on each side are hidden"
            raise DataError(what, hint="use a larger window")
        given, targets = None, []
        for text in context.texts:
            given, target = self._hidden(context, text)
            targets.append(target)
        assert given is not None, "a context has a text"
        return Example(row_id, given, targets=tuple(targets))

    def _hidden(self, context: Context, text: str) -> tuple[Encoding, Target]:
        from mammal.tasks.batches.example import Target

        encoding, first = self.prompt.encode(context.before + text + context.after)
        start = first + len(context.before)
        hidden_L = np.zeros(len(encoding), dtype=bool)
        hidden_L[start : start + len(text)] = True
        given, ids_T = self.task.hide(encoding, hidden_L)
        return given, Target(ids_T, np.arange(len(ids_T)), ids_T)

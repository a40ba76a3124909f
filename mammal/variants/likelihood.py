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

Shapes: B pairs, D = 2 B decoder rows, L input tokens, T target tokens.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mammal.errors import DataError, MammalError
from mammal.rows.batched import Encoded, Encoder, Pace, Refused, Row
from mammal.rows.run_model import run
from mammal.variants.prompt import DnaPrompt

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.batch import Batch
    from mammal.tasks.batches.example import Example, Target
    from mammal.tasks.dna.alleles import AllelePair
    from mammal.tasks.kinds.denoising import DenoisingTask
    from mammal.tokenization.encoding import Encoding

PAIR = "pair"
"""Column that holds the pair in the rows that are computed."""

Likelihoods = tuple[float, float]
"""log P(reference) and log P(alternate), in nats."""


def allele_likelihoods(
    model: MammalModel, task: DenoisingTask, pairs: Sequence[AllelePair], *, flank: int, pace: Pace
) -> list[Likelihoods | Refused]:
    """Computes the log-likelihoods of both alleles of each pair; equal pairs are computed once.

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

    def answer(batch: Batch) -> list[Likelihoods]:
        scores_D = sequence_log_likelihood(model, batch.to(model.device)).double().cpu()
        return [(reference, alternate) for reference, alternate in scores_D.view(-1, 2).tolist()]

    return run(model, [{PAIR: pair} for pair in pairs], HiddenSite(task, flank), answer, pace, None)


@dataclass(frozen=True)
class HiddenSite(Encoder):
    """Encodes a pair as one input in which the site is hidden, and two targets that fill it in."""

    task: DenoisingTask
    flank: int

    @cached_property
    def prompt(self) -> DnaPrompt:
        return DnaPrompt(self.task)

    def key(self, row: Row) -> Hashable:
        pair = row[PAIR]
        return pair.before, pair.ref, pair.alt, pair.after

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        examples: list[Example] = []
        errors: list[tuple[object, str]] = []
        for row, row_id in zip(rows, row_ids, strict=True):
            try:
                examples.append(self._example(row[PAIR], row_id))
            except MammalError as error:
                errors.append((row_id, str(error)))
        return examples, errors

    def collate(self, examples: Sequence[Example]) -> Batch:
        return self.task.collate(examples)

    def _example(self, pair: AllelePair, row_id: int) -> Example:
        from mammal.tasks.batches.example import Example

        if max(len(pair.before), len(pair.after)) <= self.flank:
            what = f"no base of the window is visible if the site and {self.flank} bases on each side are hidden"
            raise DataError(what, hint="use a larger window")
        given, reference = self._hidden(pair, pair.ref)
        _, alternate = self._hidden(pair, pair.alt)
        return Example(row_id, given, targets=(reference, alternate))

    def _hidden(self, pair: AllelePair, allele: str) -> tuple[Encoding, Target]:
        from mammal.tasks.batches.example import Target

        encoding, first = self.prompt.encode(pair.before + allele + pair.after)
        start = first + max(0, len(pair.before) - self.flank)
        end = first + len(pair.before) + len(allele) + min(self.flank, len(pair.after))
        hidden_L = np.zeros(len(encoding), dtype=bool)
        hidden_L[start:end] = True
        given, ids_T = self.task.hide(encoding, hidden_L)
        return given, Target(ids_T, np.arange(len(ids_T)), ids_T)

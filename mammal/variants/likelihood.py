"""How likely a model of hidden spans finds either allele of a site, given the bases around it.

The site and `flank` bases on each side are hidden behind one sentinel, in the words of the task that taught the model
to fill in hidden spans (`mammal.tasks.kinds.denoising`). The decoder is then asked how likely the hidden stretch is
with the reference allele and with the alternate one:

    input        ACGTTGAC <SENTINEL_ID_0> GGATTACA <EOS>          the same for both alleles
    reference    <SENTINEL_ID_0> CAATG <EOS>                      log P(reference), summed over its tokens
    alternate    <SENTINEL_ID_0> CAGTG <EOS>                      log P(alternate)

Both alleles are judged in one and the same context, which holds neither of them, so their difference
log P(alternate) - log P(reference) is the masked-marginal score of Meier et al. 2021 (ESM-1v, doi
10.1101/2021.07.09.450648), with a span in place of a single mask; it is a pseudo-likelihood ratio, not the ratio of the
probabilities of two whole sequences. Hidden bases beside the site make the stretch as long as the spans of training and
let the model judge how the allele fits its neighbours; those before the site come first and have the same probability
under both alleles.

Alleles of different length are compared as they are: each sum runs over the tokens of its own stretch, `<EOS>`
included, so a longer allele pays for every base it has more. Ratios of an insertion and of a substitution are therefore
not on one scale, and no division by length mends that.

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
"""Column of the rows that are walked."""

Likelihoods = tuple[float, float]
"""log P(reference) and log P(alternate), in nats."""


def allele_likelihoods(
    model: MammalModel, task: DenoisingTask, pairs: Sequence[AllelePair], *, flank: int, pace: Pace
) -> list[Likelihoods | Refused]:
    """Both log-likelihoods of each pair, in order; equal pairs are computed once.

    Args:
        task: its prompt reads DNA alone.
        flank: bases hidden on each side of the alleles, where there are so many; at least 1, so that an allele without
            bases hides something, too.
    """
    from mammal.decoding.likelihood import sequence_log_likelihood

    def answer(batch: Batch) -> list[Likelihoods]:
        scores_D = sequence_log_likelihood(model, batch.to(model.device)).double().cpu()
        return [(reference, alternate) for reference, alternate in scores_D.view(-1, 2).tolist()]

    return run(model, [{PAIR: pair} for pair in pairs], HiddenSite(task, flank), answer, pace, None)


@dataclass(frozen=True)
class HiddenSite(Encoder):
    """A pair as one input that hides the site, and two targets that fill it in."""

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
            what = f"no base of the window is left to see when the site and {self.flank} bases beside it are hidden"
            raise DataError(what, hint="a larger window")
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

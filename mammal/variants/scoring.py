"""Computes scores of pairs of alleles with a model (`mammal.variants.scores`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from mammal.errors import TaskError
from mammal.rows.answer_columns import AnswerColumn
from mammal.rows.batched import Pace, Refused
from mammal.rows.question import UsedModel
from mammal.variants.prompt import DNA
from mammal.variants.scores import SCORES, Scores, VariantScore, VariantScoreOptions

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.dna.alleles import AllelePair
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

__all__ = ["Scorer", "VariantScoreOptions"]

T = TypeVar("T")


class Scorer:
    """Scores pairs of alleles with a model.

    Args:
        model: the model.
        tokenizer: the tokenizer of the model.
        tasks: the tasks of the model, by name. For a likelihood one of them must fill in hidden DNA.
        asked: which scores are computed, and how.
        pace: how many rows are computed at once.
        chosen: the task whose prompt is used; None: see `likelihood_task` and `embedding_task`.

    Attributes:
        columns: the columns of the scores.
        tasks: for each requested score, the task whose prompt is used.

    Raises:
        TaskError: a likelihood is requested and no task can compute it, or the tokenizer has no DNA alphabet.
    """

    def __init__(
        self,
        model: MammalModel,
        tokenizer: Tokenizer,
        tasks: Mapping[str, Task],
        asked: VariantScoreOptions,
        pace: Pace,
        *,
        chosen: Task | None = None,
    ):
        if DNA not in tokenizer.alphabets:
            raise TaskError("this model's tokenizer has no DNA", hint="it can't score variants")
        self.model, self.asked, self.pace = model, asked, pace
        scores = {what: score for what, score in SCORES.items() if what in asked.what}
        self.tasks = {what: score.task(tasks, chosen, tokenizer) for what, score in scores.items()}
        self.columns = [AnswerColumn(c.name, c.holds) for score in scores.values() for c in score.columns]

    @property
    def uses(self) -> UsedModel:
        """The parts of the model that are used; distances only need the encoder."""
        task = next((task for what, task in self.tasks.items() if SCORES[what].decodes), None)
        return UsedModel(self.model) if task is None else UsedModel.for_task(self.model, task)

    def score(self, pairs: Sequence[AllelePair]) -> list[Scores | Refused]:
        """Returns for each pair its scores, or the reason why it has none."""
        parts = [self._part(SCORES[what], task, pairs) for what, task in self.tasks.items()]
        return [_joined(given) for given in zip(*parts, strict=True)]

    def _part(self, score: VariantScore, task: Task, pairs: Sequence[AllelePair]) -> list[Scores | Refused]:
        found = score.of(self.model, task, self._on_strands(pairs), self.asked, self.pace)
        of_pairs = [_all_or_refused(given) for given in self._by_pair(found)]
        return [given if isinstance(given, Refused) else score.values(given) for given in of_pairs]

    def _on_strands(self, pairs: Sequence[AllelePair]) -> list[AllelePair]:
        """Each pair; if both strands are requested, followed by the same pair on the other strand."""
        return [p for pair in pairs for p in ((pair, pair.reversed()) if self.asked.strands == "both" else (pair,))]

    def _by_pair(self, found: Sequence[T]) -> Iterator[Sequence[T]]:
        each = 2 if self.asked.strands == "both" else 1
        return (found[start : start + each] for start in range(0, len(found), each))


def _all_or_refused(given: Sequence[T | Refused]) -> list[T] | Refused:
    refused = next((one for one in given if isinstance(one, Refused)), None)
    return refused or [one for one in given if not isinstance(one, Refused)]


def _joined(parts: Sequence[Scores | Refused]) -> Scores | Refused:
    given = _all_or_refused(parts)
    return given if isinstance(given, Refused) else tuple(value for part in given for value in part)

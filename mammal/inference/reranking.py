"""Re-ranks the answers of one task with another task, the re-ranking task, which works in the opposite direction.

    model.generate("CC(=O)Nc1ccccc1", "retrosynthesis", n=10, num_beams=10, rerank="forward_reaction")

The re-ranking task reads a generated answer and predicts the question. For example, forward_reaction predicts the
product from the reactants that retrosynthesis proposes, and smiles_to_iupac predicts the name from the molecule that
iupac_to_smiles reads. Answers are ranked by

    log p(answer | question) + weight * log p(question | answer)

The re-ranking task computes the second term (Li et al. 2016, arXiv 1510.03055); see `mammal.inference.reranking_task`.

The round trip of an answer succeeds if the best answer of the re-ranking task is the question (Schwaller et al. 2020,
doi 10.1039/c9sc05704h).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from mammal.errors import ConfigError
from mammal.generation.question import Generate
from mammal.inference.reranking_task import Judge, Verdict
from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Progress, Refused, Row
from mammal.rows.cut_rows import CutRecords, mark_cut
from mammal.rows.question import Wrapped
from mammal.rows.tables import Failed

if TYPE_CHECKING:
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.task import Task


@dataclass(frozen=True)
class RoundTrips:
    """Share of answered rows for whose first answer the round trip succeeds. NaN if the re-ranking task only scored.

    Attributes:
        before: with the answers in the order of generation.
        after: with the answers in the order of re-ranking.
    """

    before: float
    after: float


class Reranked(Wrapped):
    """Generates answers and re-ranks them.

    The answers have the columns of `inner` and two more: `judged` is the log-likelihood of the re-ranking task.
    `round_trip` is 1 if the round trip succeeds, 0 if it does not, and None if the re-ranking task only scored.

    Args:
        inner: generates the answers that are ranked.
        judge: the re-ranking task.
        prefix: text before the names of the added columns.

    Raises:
        ConfigError: `inner` has no task.
        TaskError: the re-ranking task does not read the answers.
    """

    task: Task

    def __init__(self, inner: Generate, judge: Judge, prefix: str = ""):
        if inner.task is None:
            raise ConfigError("answers to prompts without a task can't be re-ranked", hint="task=NAME", where="rerank")
        self.model, self.inner, self.task, self.judge = inner.model, inner, inner.task, judge
        self.answered = judge.column_for(inner.task)
        needed = [name for name in (*judge.task.identities, judge.asked) if name != self.answered]
        names = list(dict.fromkeys([*inner.reading.names, *needed]))
        beside = [*inner.reading.beside, *judge.task.columns, *judge.task.beside]
        aliases = {**judge.task.config.data.columns, **inner.reading.aliases}
        self.reading = replace(inner.reading, names=names, beside=beside, aliases=aliases)
        self.columns = [
            *inner.columns,
            AnswerColumn(f"{prefix}judged", "number"),
            AnswerColumn(f"{prefix}round_trip", "integer"),
        ]
        place = [column.name for column in inner.columns]
        self._sample, self._text, self._score = (place.index(f"{prefix}{name}") for name in ("sample", "text", "score"))
        self.recorded_options = {**inner.recorded_options, "judge": judge.task.name, "rerank_weight": judge.weight}
        self.helpers = (judge.question,)

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        given = self.inner.ask(rows, first=first, progress=progress)
        whole = [[] if isinstance(records, Refused) else _answers(records) for records in given]
        texts = [[str(record[self._text] or "") for record in records] for records in whole]
        verdicts = self.judge.verdicts(_as_named_by(self.task, rows), self.answered, texts)
        return [
            records
            if isinstance(records, Refused)
            else mark_cut(self._ranked(answers, judged, records), cut=isinstance(records, CutRecords))
            for records, answers, judged in zip(given, whole, verdicts, strict=True)
        ]

    def _ranked(self, answers: Sequence[Record], verdicts: Sequence[Verdict], every: Sequence[Record]) -> list[Record]:
        """Sorts the answers, best first, and numbers them again. Ties keep their order; failed answers are last."""
        totals = [self.judge.total(r[self._score], v) for r, v in zip(answers, verdicts, strict=True)]
        order = sorted(range(len(answers)), key=lambda i: -totals[i])
        ranked = [(*_with(answers[i], self._sample, rank), *_cells(verdicts[i])) for rank, i in enumerate(order)]
        failed = [record for record in every if isinstance(record, Failed)]
        numbered = enumerate(failed, len(ranked))
        return [*ranked, *(Failed(_with(record, self._sample, rank), record.reason) for rank, record in numbered)]


def rerank_predictions(
    judge: Judge, task: Task, rows: Sequence[Row], predictions: Sequence[Prediction]
) -> tuple[list[Prediction], RoundTrips]:
    """Re-ranks predictions with their `runners_up`.

    Args:
        judge: the re-ranking task.
        task: the task that made the predictions.
        rows: rows of the predictions.
        predictions: one prediction for each row.

    Returns:
        The predictions in their new order, and the share of round trips that succeed.

    Raises:
        TaskError: the re-ranking task does not read the answers of the task.
    """
    column = judge.column_for(task)
    every = [[] if said.error is not None else [said, *said.runners_up] for said in predictions]
    verdicts = judge.verdicts(
        _as_named_by(task, rows), column, [[said.text or "" for said in of_row] for of_row in every]
    )
    found, before, after = list(predictions), [], []
    for row, (of_row, judged) in enumerate(zip(every, verdicts, strict=True)):
        if of_row:
            totals = [judge.total(said.score, verdict) for said, verdict in zip(of_row, judged, strict=True)]
            first, *others = sorted(range(len(of_row)), key=[-total for total in totals].__getitem__)
            runners_up = tuple(replace(of_row[n], runners_up=()) for n in others)
            found[row] = replace(of_row[first], runners_up=runners_up)
            before.append(judged[0].returned)
            after.append(judged[first].returned)
    return found, RoundTrips(_share(before), _share(after))


def _as_named_by(task: Task, rows: Sequence[Row]) -> list[Row]:
    """Returns rows with copies of aliased columns under the names of the task."""
    return [{name: row[theirs] for name, theirs in task.aliases.items() if theirs in row} | dict(row) for row in rows]


def _share(returned: Sequence[bool | None]) -> float:
    known = [value for value in returned if value is not None]
    return sum(known) / len(known) if known else nan


def _answers(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if not isinstance(record, Failed)]


def _with(record: Record, place: int, value: Any) -> Record:
    return (*record[:place], value, *record[place + 1 :])


def _cells(verdict: Verdict) -> Record:
    likelihood = verdict.log_likelihood if isfinite(verdict.log_likelihood) else None
    return likelihood, None if verdict.returned is None else int(verdict.returned)

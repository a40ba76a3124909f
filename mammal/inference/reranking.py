"""Re-ranks the answers of one task with another task, the re-ranking task, which works in the opposite direction.

    model.generate("CC(=O)Nc1ccccc1", "retrosynthesis", n=10, num_beams=10, rerank="forward_reaction")

The re-ranking task reads a generated answer and predicts the question. For example, forward_reaction predicts the
product from the reactants that retrosynthesis proposes, and smiles_to_iupac predicts the name from the molecule that
iupac_to_smiles reads. Answers are ranked by

    log p(answer | question) + weight * log p(question | answer)

The re-ranking task computes the second term (Li et al. 2016, arXiv 1510.03055). If the question is a molecule, many
SMILES are possible for it, and it is not known in advance which one the re-ranking task would write. It therefore
generates by beam search, and the term is the log-likelihood of the best beam that is this molecule. If no beam is this
molecule, the term is one nat below the last beam. Names and sequences can be written in one way only. Their
log-likelihood is computed directly.

The round trip of an answer succeeds if the best answer of the re-ranking task is the question (Schwaller et al. 2020,
doi 10.1039/c9sc05704h).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mammal.errors import ConfigError, TaskError
from mammal.generation.question import Generate
from mammal.inference.questions import Score
from mammal.rows.answer_columns import AnswerColumn, Record
from mammal.rows.batched import Pace, Progress, Refused, Row
from mammal.rows.cut_rows import CutRecords, mark_cut
from mammal.rows.question import Question, Wrapped
from mammal.rows.tables import Failed
from mammal.rows.task_choice import find_task, the_only
from mammal.tasks.metrics.text_metrics import same_molecule

if TYPE_CHECKING:
    import torch

    from mammal.model.model import MammalModel
    from mammal.rows.task_choice import TaskLike
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.task import Task

_UNSEEN = 1.0
"""A molecule that no beam contains gets the log-likelihood of the last beam minus this value, in nats."""


class OpenModel(Protocol):
    """The parts of an open model that re-ranking uses. `mammal.Mammal`, which can't be imported here, has them."""

    model: MammalModel
    pace: Pace

    @property
    def config_dirs(self) -> Sequence[str | Path]: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def task(self) -> Task: ...

    def find_task(self, task: TaskLike | None = None) -> Task: ...


@dataclass(frozen=True)
class Verdict:
    """Result of the re-ranking task for one answer.

    Attributes:
        log_likelihood: log-likelihood of the question given the answer, in nats. NaN if the re-ranking task can't read
            the answer.
        returned: whether the best answer of the re-ranking task is the question. None if it only scored the question
            and generated nothing.
    """

    log_likelihood: float
    returned: bool | None


class Judge:
    """A re-ranking task with its model.

    Args:
        model: the model.
        task: the re-ranking task.
        pace: how many rows are processed together.
        weight: weight of its log-likelihood. The log-likelihood of the answer has weight 1.

    Raises:
        ConfigError: the weight is negative or not finite.
        TaskError: the task does not answer with one text.
    """

    def __init__(self, model: MammalModel, task: Task, pace: Pace, *, weight: float = 1.0):
        if not (isfinite(weight) and weight >= 0):
            raise ConfigError(f"the weight must be 0 or more, not {weight:g}", where="rerank_weight")
        if not task.target_is_text or len(task.target_columns) != 1 or task.number_targets:
            raise TaskError(f"{task.name} does not answer with one text, so it can't re-rank answers")
        self.task, self.weight = task, weight
        (self.asked,) = task.target_columns
        self.by_beams = _is_molecule(task)
        beams = max(1, task.config.generation.num_beams)
        settings = {"num_beams": beams, "do_sample": False}
        self.question: Question = (
            Generate(model, task.tokenizer, task, pace, n=beams, settings=settings)
            if self.by_beams
            else Score(model, task.tokenizer, task, pace)
        )

    def check(self, proposer: Task) -> None:
        """Checks that the re-ranking task reads the answers of a task.

        Args:
            proposer: the task whose answers are to be ranked.

        Raises:
            TaskError: it does not. The message contains the columns that it reads.
        """
        if len(proposer.target_columns) != 1 or proposer.target_columns[0] not in self.task.columns:
            what = f"{self.task.name} reads {', '.join(self.task.columns)}"
            answered = ", ".join(proposer.target_columns)
            raise TaskError(f"{what}, but {proposer.name} answers with {answered}", where="rerank")

    def fits(self, proposer: Task) -> bool:
        """Returns whether the re-ranking task reads the answers of a task and predicts one of its inputs.

        Args:
            proposer: the task whose answers are to be ranked.
        """
        answers = len(proposer.target_columns) == 1 and proposer.target_columns[0] in self.task.columns
        return answers and self.asked in proposer.columns

    def verdicts(self, rows: Sequence[Row], column: str, answers: Sequence[Sequence[str]]) -> list[list[Verdict]]:
        """Runs the re-ranking task on each answer of each row.

        Args:
            rows: rows with the question and all other columns that the re-ranking task reads.
            column: column of the re-ranking task that gets the answer.
            answers: for each row its answers.

        Returns:
            For each row one result per answer.
        """
        asked = [{**row, column: text} for row, texts in zip(rows, answers, strict=True) for text in texts]
        said = iter(self.question.ask(asked))
        wanted = (row for row, texts in zip(rows, answers, strict=True) for _ in texts)
        flat = iter([self._verdict(self._wanted(row), given) for row, given in zip(wanted, said, strict=True)])
        return [[next(flat) for _ in texts] for texts in answers]

    def total(self, score: float | None, verdict: Verdict) -> float:
        """Returns the value by which an answer is ranked.

        Args:
            score: log-likelihood of the answer, in nats. None: it has none.
            verdict: result of the re-ranking task for the answer.

        Returns:
            Sum of both log-likelihoods, in nats. Minus infinity if one of them is missing.
        """
        if score is None or not isfinite(verdict.log_likelihood):
            return float("-inf")
        return score + self.weight * verdict.log_likelihood

    def _wanted(self, row: Row) -> str:
        return str(row.get(self.asked, row.get(self.task.aliases.get(self.asked, self.asked), "")))

    def _verdict(self, wanted: str, given: list[Record] | Refused) -> Verdict:
        if isinstance(given, Refused):
            return Verdict(nan, False if self.by_beams else None)
        if not self.by_beams:
            return Verdict(float(given[0][0]), None)
        place = [column.name for column in self.question.columns]
        text, likelihood = place.index("text"), place.index("score")
        beams = [(str(r[text]), float(r[likelihood])) for r in given if not isinstance(r, Failed)]
        if not beams:
            return Verdict(nan, False)
        spelt = [score for text, score in beams if same_molecule(text, wanted)]
        least = min(score for _, score in beams) - _UNSEEN
        return Verdict(max(spelt, default=least), same_molecule(beams[0][0], wanted))


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
        judge.check(inner.task)
        self.model, self.inner, self.task, self.judge = inner.model, inner, inner.task, judge
        (self.target,) = inner.task.target_columns
        needed = [name for name in (*judge.task.identities, judge.asked) if name != self.target]
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
        verdicts = self.judge.verdicts(_as_named_by(self.task, rows), self.target, texts)
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


def judge_of(
    model: OpenModel,
    task: TaskLike | None,
    bundle: str | os.PathLike[str] | OpenModel | None = None,
    weight: float | None = None,
) -> Judge | None:
    """Returns the re-ranking task that a user names, and None if none is named.

    Args:
        model: the model that generates. It also does the re-ranking task if no bundle is given.
        task: the re-ranking task. None: the only task of the bundle.
        bundle: model (or its folder) that does the re-ranking task. None: `model`.
        weight: weight of its log-likelihood. None: 1.

    Raises:
        ConfigError: a weight is given without a task or a bundle.
        BundleError: there is no such bundle.
        TaskError: there is no such task, or it can't be used to re-rank.
    """
    if task is None and bundle is None:
        if weight is not None:
            hint = "rerank=TASK, or rerank_bundle=FOLDER"
            raise ConfigError("rerank_weight is given without a re-ranking task", hint=hint)
        return None
    weight = 1.0 if weight is None else weight
    if isinstance(bundle, str | os.PathLike):
        from mammal.bundle.folder import read_bundle

        opened = read_bundle(bundle, device=model.device, dtype=model.model.dtype)
        chosen = (
            the_only(opened.tasks)
            if task is None
            else find_task(task, opened.tasks, opened.tokenizer, model.config_dirs)
        )
        return Judge(opened.model, chosen, Pace.of_device(model.device.type), weight=weight)
    judging = model if bundle is None else bundle
    chosen = judging.task if task is None else judging.find_task(task)
    return Judge(judging.model, chosen, judging.pace, weight=weight)


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
    judge.check(task)
    (target,) = task.target_columns
    every = [[] if said.error is not None else [said, *said.runners_up] for said in predictions]
    verdicts = judge.verdicts(
        _as_named_by(task, rows), target, [[said.text or "" for said in of_row] for of_row in every]
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


def _is_molecule(task: Task) -> bool:
    """Whether the answer of the task is SMILES, so that the same answer can be written in many ways."""
    from mammal.tokenization.entities import ENTITIES

    slots = [slot for slot in task.template.slots if slot.part == "target"]
    names = [ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name for slot in slots]
    return names == ["SMILES"]


def _answers(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if not isinstance(record, Failed)]


def _with(record: Record, place: int, value: Any) -> Record:
    return (*record[:place], value, *record[place + 1 :])


def _cells(verdict: Verdict) -> Record:
    likelihood = verdict.log_likelihood if isfinite(verdict.log_likelihood) else None
    return likelihood, None if verdict.returned is None else int(verdict.returned)

"""Answers of one task put in the order that another task, which reads them, makes of them.

    model.generate("CC(=O)Nc1ccccc1", "retrosynthesis", n=10, num_beams=10, rerank="forward_reaction")

The judge is a task that reads what was generated and answers with what was asked: forward_reaction judges the reactants
that retrosynthesis proposes for a product, smiles_to_iupac the molecules that iupac_to_smiles reads in a name. Answers
are ranked by

    log p(answer | question) + weight * log p(question | answer)

the second term by the judge (Li et al. 2016, arXiv 1510.03055). Where the question is a molecule, it has many
spellings, and the one that the judge would write is not known before: the judge generates, and the term is the
likelihood of the best of its beams that spells the molecule. Of a molecule that no beam spells, it is one nat below the
last beam. Names and sequences have one spelling, which the judge scores outright.

An answer's round trip succeeds where the judge's best answer is what was asked (Schwaller et al. 2020, doi
10.1039/c9sc05704h).
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
"""Nats that a molecule which no beam spells lies below the last beam."""


class OpenModel(Protocol):
    """What a judge needs of an open model. `mammal.Mammal` has it, whose module imports this one."""

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
    """What a judge says of one answer.

    Attributes:
        log_likelihood: of what was asked, given the answer; NaN where the judge can't read the answer.
        returned: whether the judge's best answer is what was asked; None where it was not made to answer.
    """

    log_likelihood: float
    returned: bool | None


class Judge:
    """A task with the model that does it.

    Args:
        weight: of its log-likelihood beside the answers' own.

    Raises:
        ConfigError: the weight is negative or no number.
        TaskError: the task does not answer with one text.
    """

    def __init__(self, model: MammalModel, task: Task, pace: Pace, *, weight: float = 1.0):
        if not (isfinite(weight) and weight >= 0):
            raise ConfigError(f"the judge's weight must be 0 or more, not {weight:g}", where="rerank_weight")
        if not task.target_is_text or len(task.target_columns) != 1 or task.number_targets:
            raise TaskError(f"{task.name} does not answer with one text, so it can't judge answers")
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
        """Refuses a task whose answers this one does not read.

        Raises:
            TaskError: says what it reads.
        """
        if len(proposer.target_columns) != 1 or proposer.target_columns[0] not in self.task.columns:
            what = f"{self.task.name} reads {', '.join(self.task.columns)}"
            answered = ", ".join(proposer.target_columns)
            raise TaskError(f"{what}, and {proposer.name} answers with {answered}", where="rerank")

    def fits(self, proposer: Task) -> bool:
        """Whether it reads this task's answers, and answers with a thing that the task reads."""
        answers = len(proposer.target_columns) == 1 and proposer.target_columns[0] in self.task.columns
        return answers and self.asked in proposer.columns

    def verdicts(self, rows: Sequence[Row], column: str, answers: Sequence[Sequence[str]]) -> list[list[Verdict]]:
        """A verdict on each answer of each row.

        Args:
            rows: with what was asked, and whatever else the judge reads.
            column: that the answers belong in.
        """
        asked = [{**row, column: text} for row, texts in zip(rows, answers, strict=True) for text in texts]
        said = iter(self.question.ask(asked))
        wanted = (row for row, texts in zip(rows, answers, strict=True) for _ in texts)
        flat = iter([self._verdict(self._wanted(row), given) for row, given in zip(wanted, said, strict=True)])
        return [[next(flat) for _ in texts] for texts in answers]

    def total(self, score: float | None, verdict: Verdict) -> float:
        """What an answer is ranked by; minus infinity where the judge can't read it."""
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
    """Share of answered rows whose first answer the judge turns into what was asked: of the answers in the order that
    generation gave them, and in the judge's. NaN where it was not made to answer."""

    before: float
    after: float


class Reranked(Wrapped):
    """A question of generation whose answers a judge puts in order: columns `judged` (its log-likelihood) and
    `round_trip` (1 where it gives back what was asked; None where it was not made to answer) besides those of `inner`.

    Args:
        inner: gives the answers, as many as are to be ranked.
        prefix: put before the names of the columns.
    """

    task: Task

    def __init__(self, inner: Generate, judge: Judge, prefix: str = ""):
        if inner.task is None:
            raise ConfigError("answers to bare prompts can't be reranked", hint="name a task", where="rerank")
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
        self.told = {**inner.told, "judge": judge.task.name, "rerank_weight": judge.weight}
        self.helpers = (judge.question,)

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        given = self.inner.ask(rows, first=first, progress=progress)
        whole = [[] if isinstance(records, Refused) else _answers(records) for records in given]
        texts = [[str(record[self._text] or "") for record in records] for records in whole]
        verdicts = self.judge.verdicts(_as_named_by(self.task, rows), self.target, texts)
        return [
            records if isinstance(records, Refused) else self._ranked(answers, judged, records)
            for records, answers, judged in zip(given, whole, verdicts, strict=True)
        ]

    def _ranked(self, answers: Sequence[Record], verdicts: Sequence[Verdict], every: Sequence[Record]) -> list[Record]:
        """Best first, and counted anew; of two that are level the one that generation gave first. Records without an
        answer come last."""
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
    """The judge that a user names; None where none is named.

    Args:
        model: that generates, and judges unless a bundle is given.
        task: of the judge; None: the only one of the bundle.
        weight: default 1.

    Raises:
        ConfigError: a weight without a judge.
        BundleError, TaskError: there is no such bundle or task.
    """
    if task is None and bundle is None:
        if weight is not None:
            raise ConfigError("rerank_weight is given, and nobody judges", hint="rerank=TASK, or rerank_bundle=FOLDER")
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
    """Predictions with their `runners_up` in the order that the judge makes of them, and how many lead back.

    Raises:
        TaskError: the judge does not read this task's answers.
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
    """Rows whose cells also stand under the names that a task gives them, where a file calls them otherwise."""
    return [{name: row[theirs] for name, theirs in task.aliases.items() if theirs in row} | dict(row) for row in rows]


def _share(returned: Sequence[bool | None]) -> float:
    known = [value for value in returned if value is not None]
    return sum(known) / len(known) if known else nan


def _is_molecule(task: Task) -> bool:
    """Whether the task's one answer is written in the SMILES alphabet, so that it has many spellings."""
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

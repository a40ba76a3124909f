"""The re-ranking task: reads the answers of another task and says how likely the question is, given each answer.

If the question is a molecule, many SMILES are possible for it, and it is not known in advance which one the re-ranking
task would write. It therefore generates by beam search, and the log-likelihood is that of the best beam that is this
molecule. If no beam is this molecule, it is one nat below the last beam. Names and sequences can be written in one way
only. Their log-likelihood is computed directly.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING

from mammal.errors import ConfigError, TaskError
from mammal.generation.question import Generate
from mammal.inference.open_model import OpenModel
from mammal.inference.questions import Score
from mammal.rows.answer_columns import Record
from mammal.rows.batched import Pace, Refused, Row
from mammal.rows.question import Question
from mammal.rows.tables import Failed
from mammal.rows.task_choice import find_task, the_only
from mammal.tasks.metrics.text_metrics import same_molecule

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.rows.task_choice import TaskLike
    from mammal.tasks.task import Task

_UNSEEN = 1.0
"""A molecule that no beam contains gets the log-likelihood of the last beam minus this value, in nats."""


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

    def reads(self, proposer: Task) -> str | None:
        """Returns the column in which the re-ranking task reads the answers of a task; None if it can't read them.

        It is the column of the same name. Of a task that reads what this one predicts, it can also have another name:
        then it is the only one that holds the same sort of sequence and is no input of that task.

        Args:
            proposer: the task whose answers are to be ranked.
        """
        if len(proposer.target_columns) != 1:
            return None
        (answered,) = proposer.target_columns
        if answered in self.task.columns:
            return answered
        sorts = _sorts(proposer, "target")
        alike = [column for column, sort in _sorts(self.task, "input").items() if sort == sorts.get(answered)]
        opposite = self.asked in proposer.columns and len(alike) == 1 and alike[0] not in proposer.columns
        return alike[0] if opposite else None

    def column_for(self, proposer: Task) -> str:
        """Returns the column in which the re-ranking task reads the answers of a task.

        Args:
            proposer: the task whose answers are to be ranked.

        Raises:
            TaskError: it can't read them. The message contains the columns that it reads.
        """
        column = self.reads(proposer)
        if column is None:
            what = f"{self.task.name} reads {', '.join(self.task.columns)}"
            answered = ", ".join(proposer.target_columns)
            raise TaskError(f"{what}, but {proposer.name} answers with {answered}", where="rerank")
        return column

    def fits(self, proposer: Task) -> bool:
        """Returns whether the re-ranking task reads the answers of a task and predicts one of its inputs.

        Args:
            proposer: the task whose answers are to be ranked.
        """
        return self.reads(proposer) is not None and self.asked in proposer.columns

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
        same = [score for text, score in beams if same_molecule(text, wanted)]
        least = min(score for _, score in beams) - _UNSEEN
        return Verdict(max(same, default=least), same_molecule(beams[0][0], wanted))


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


def _sorts(task: Task, part: str) -> dict[str, str]:
    """Column -> sort of the sequence that the template of a task writes there, such as `smiles`."""
    slots = [slot for slot in task.template.slots if slot.part == part and slot.kind == "entity"]
    return {slot.column: slot.name for slot in slots}


def _is_molecule(task: Task) -> bool:
    """Whether the answer of the task is SMILES, so that the same answer can be written in many ways."""
    from mammal.tokenization.entities import ENTITIES

    slots = [slot for slot in task.template.slots if slot.part == "target"]
    names = [ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name for slot in slots]
    return names == ["SMILES"]

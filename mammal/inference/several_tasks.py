"""Predictions of several tasks in one run, next to each other.

    model.predict("library.csv", ["bbbp", "melting_point"])     # smiles, bbbp_prediction, bbbp_probability, bbbp_error,
                                                                # melting_point_prediction, melting_point_error, error

The name of the task is the prefix of its columns. A row that only some tasks can't read keeps the answers of the other
tasks, and the column `TASK_error` has the reason. A row that no task can read has no answer.

Tasks that read the same columns into the same prompt share the encoded rows and the encoder of the model
(`mammal.inference.shared_pass`). Tasks with generated answers, and tasks with other prompts, are answered one after
another; they share the rows that were read and, within a process, the standardised molecules.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeGuard

from mammal.errors import ConfigError, TaskError
from mammal.inference.from_names import FromNames, predict_question
from mammal.inference.questions import Predict
from mammal.rows.answer_columns import ERROR, AnswerColumn, Record
from mammal.rows.batched import Encoder, Pace, Progress, Refused, Row, TaskEncoder
from mammal.rows.column_match import columns_of_each
from mammal.rows.cut_rows import CutRecords, mark_cut
from mammal.rows.question import TaskQuestion, UsedModel
from mammal.rows.read_several import ReadSeveral
from mammal.rows.standardised_columns import check_standardised
from mammal.tokenization.errors import meant_name

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mammal.inference.open_model import OpenModel
    from mammal.model.model import MammalModel
    from mammal.rows.task_choice import TaskLike
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

ALL = "all"
"""Name that means every task of the bundle with answers in place, unless a task has this name."""

Answers = list[list[Record] | Refused]


def task_prefix(task: Task, prefix: str = "") -> str:
    """Returns the text before the names of a task's columns, if several tasks answer.

    Args:
        task: the task.
        prefix: text before the names of all added columns.
    """
    return f"{prefix}{task.name}_"


def is_several(task: TaskLike | Sequence[TaskLike] | None, own: Mapping[str, Task]) -> bool:
    """Whether a caller names several tasks: by a list, or by `all`.

    Args:
        task: as for `Mammal.predict`.
        own: tasks of the bundle, by name.
    """
    return _is_list(task) or (task == ALL and meant_name(ALL, own) is None)


def _is_list(task: TaskLike | Sequence[TaskLike] | None) -> TypeGuard[Sequence[TaskLike]]:
    return isinstance(task, Sequence) and not isinstance(task, str)


def one_task(task: TaskLike | Sequence[TaskLike] | None) -> TaskLike | None:
    """Returns what a caller names if `several_tasks` has found that it is not several tasks.

    Args:
        task: as for `Mammal.predict`.
    """
    assert task is None or isinstance(task, str) or not isinstance(task, Sequence), "a list names several tasks"
    return task


def several_tasks(
    model: OpenModel,
    task: TaskLike | Sequence[TaskLike] | None,
    columns: Mapping[str, str] | str | None = None,
    view: str | Mapping[str, str] | None = None,
) -> list[Task] | None:
    """Returns the tasks that a caller names by a list or by `all`.

    Args:
        model: finds the tasks.
        task: as for `Mammal.predict`.
        columns: as for `Mammal.predict`. Each task gets the columns that it has.
        view: as for `Mammal.predict`.

    Returns:
        The tasks in their order. None: the caller names one task, or none.

    Raises:
        TaskError: there is no such task, or no task at all.
        ConfigError: a task is named twice, or `columns` names a column that no task has.
    """
    if not is_several(task, model.tasks):
        return None
    if _is_list(task):
        found = [model.find_task(one) for one in task]
    else:
        found = [one for one in model.tasks.values() if not one.target_is_text or one.number_targets]
    if not found:
        what = "the list of tasks is empty" if _is_list(task) else "this bundle has no task of labels or numbers"
        raise TaskError(what, where="task", hint="task=[NAME,NAME]")
    names = [one.name for one in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"task {twice!r} is named twice", where="task", hint="name each task once")
    given = columns_of_each(found, columns)
    return [model.find_task(one, own, view) for one, own in zip(found, given, strict=True)]


class PredictSeveral(TaskQuestion):
    """Predicts the targets of several tasks for each row.

    Args:
        questions: one for each task; their columns begin with `task_prefix`.
        prefix: text before the names of all added columns.

    Attributes:
        questions: these questions.

    Raises:
        ConfigError: two tasks would add columns of the same name.
    """

    task: Task

    def __init__(self, questions: Sequence[Predict], prefix: str = ""):
        self.questions = list(questions)
        first = self.questions[0]
        self.model, self.task, self.pace = first.model, first.task, first.pace
        self.reading = ReadSeveral.of([one.reading for one in questions], [one.task for one in questions])
        self._errors = [f"{task_prefix(one.task, prefix)}{ERROR}" for one in questions]
        own = zip(self.questions, self._errors, strict=True)
        self.columns = [*chain.from_iterable([*one.columns, AnswerColumn(error, "text")] for one, error in own)]
        _check_different([*(column.name for column in self.columns), f"{prefix}{ERROR}"])
        self._groups = _groups(self.questions)
        self._encoders = [_encoder(group) for group in self._groups]
        self._warned: set[str] = set()

    @property
    def tasks(self) -> list[Task]:
        """The tasks, in the order of their columns."""
        return [one.task for one in self.questions]

    @property
    def encoder(self) -> Encoder:
        """What converts rows to batches of the first tasks."""
        return self._encoders[0]

    @encoder.setter
    def encoder(self, encoder: Encoder) -> None:
        self.encoders = [encoder, *self._encoders[1:]]

    @property
    def encoders(self) -> Sequence[Encoder]:
        return self._encoders

    @encoders.setter
    def encoders(self, encoders: Sequence[Encoder]) -> None:
        self._encoders = list(encoders)
        for group, encoder in zip(self._groups, encoders, strict=True):
            if len(group) == 1:
                group[0].encoder = encoder

    @property
    def uses(self) -> Sequence[UsedModel]:
        return list(dict.fromkeys(used for one in self.questions for used in one.uses))

    def look_at(self, rows: Sequence[Row], sources: Mapping[str, str]) -> None:
        for one in self.questions:
            one.look_at(rows, sources)

    def prepare(self, rows: Sequence[Row]) -> None:
        self.encoder.prepare(rows, self.pace.window)

    def ask(self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None) -> Answers:
        answers: dict[str, Answers] = {}
        shared = _Shares(progress, len(self._groups))
        for group, encoder in zip(self._groups, self._encoders, strict=True):
            said = _answers(group, encoder, rows, first, shared.progress)
            answers |= {one.task.name: of_task for one, of_task in zip(group, said, strict=True)}
        of_tasks = [answers[task.name] for task in self.tasks]
        self._warn_of_refused(of_tasks)
        return [self._joined([given[place] for given in of_tasks]) for place in range(len(rows))]

    def _joined(self, given: Sequence[list[Record] | Refused]) -> list[Record] | Refused:
        """The answer to a row: those of all tasks, each with its reason."""
        reasons = [one.reason if isinstance(one, Refused) else None for one in given]
        if None not in reasons:
            return Refused(_all_reasons([task.name for task in self.tasks], [str(reason) for reason in reasons]))
        cells: list[Any] = []
        for question, answer, reason in zip(self.questions, given, reasons, strict=True):
            record = (None,) * len(question.columns) if isinstance(answer, Refused) else answer[0]
            cells += [*record, reason]
        return mark_cut([tuple(cells)], cut=any(isinstance(answer, CutRecords) for answer in given))

    def _warn_of_refused(self, of_tasks: Sequence[Answers]) -> None:
        """Logs, once for each task, that it refuses rows which another task answers."""
        refused = [[isinstance(answer, Refused) for answer in given] for given in of_tasks]
        for task, column, own in zip(self.tasks, self._errors, refused, strict=True):
            partly = any(here and not all(of_row) for here, of_row in zip(own, zip(*refused, strict=True), strict=True))
            if partly and column not in self._warned:
                self._warned.add(column)
                message = "task %s has no answer to some rows that other tasks answer; column %s has the reasons"
                logger.warning(message, task.name, column)


def several_question(
    model: MammalModel, own: Mapping[str, Task], tasks: Sequence[Task], pace: Pace, *, prefix: str = "", **how: Any
) -> TaskQuestion:
    """Returns the question of `predict` for several tasks.

    Args:
        model: the model that answers.
        own: tasks of the bundle, by name. One of them may read names.
        tasks: the tasks, in the order of their columns.
        pace: how many rows are processed together.
        prefix: text before the names of the added columns.
        how: as for `mammal.inference.from_names.predict_question`.

    Raises:
        ConfigError: an argument is wrong; two tasks would add the same column; or names can't be read for all tasks
            in the same way.
        TaskError: as for `predict_question`.
        DataError: as for `predict_question`.
    """
    shows = _showing_molecules(tasks) if how.pop("standardised", False) else ()
    each = [
        predict_question(model, own, task, pace, prefix=task_prefix(task, prefix), standardised=task in shows, **how)
        for task in tasks
    ]
    if plain := [one for one in each if isinstance(one, Predict)]:
        if len(plain) == len(each):
            return PredictSeveral(plain, prefix)
        what = f"the prompt of {plain[0].task.name} shows names, and those of other tasks show structures"
        raise ConfigError(what, where="names", hint="names_by=opsin or names_by=model, or predict them in two runs")
    named = [one for one in each if isinstance(one, FromNames)]
    if differs := next((one for one in named if one.column != named[0].column), None):
        what = (
            f"{named[0].task.name} reads its molecule from {named[0].column}, {differs.task.name} from {differs.column}"
        )
        raise ConfigError(what, where="names", hint="predict them in two runs")
    inner = PredictSeveral([one.inner for one in named if isinstance(one.inner, Predict)], prefix)
    read = named[0]
    return FromNames(inner, read.names, read.reader, prefix, name_warning=read.name_warning)


def _showing_molecules(tasks: Sequence[Task]) -> list[Task]:
    """The tasks that read a molecule, of which columns can say what was read.

    Raises:
        ConfigError: there is none.
    """
    found = [task for task in tasks if task.molecule_slots]
    if not found:
        check_standardised(tasks[0])
    return found


def _all_reasons(tasks: Sequence[str], reasons: Sequence[str]) -> str:
    """The reasons of all tasks as one text. Tasks with the same reason are named together."""
    named: dict[str, list[str]] = {}
    for task, reason in zip(tasks, reasons, strict=True):
        named.setdefault(reason, []).append(task)
    return "; ".join(f"{', '.join(of_reason)}: {reason}" for reason, of_reason in named.items())


class _Shares:
    """Reports rows as answered after every group of tasks has answered them, with fractions in between."""

    def __init__(self, report: Progress | None, groups: int):
        self._report, self._groups, self._answered = report, groups, 0
        self.progress: Progress | None = None if report is None else self._advance

    def _advance(self, rows: int) -> None:
        before = self._answered // self._groups
        self._answered += rows
        assert self._report is not None, "without a report, nothing is advanced"
        if (now := self._answered // self._groups) > before:
            self._report(now - before)


def _check_different(names: Sequence[str]) -> None:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"two tasks would add a column {twice!r}", where="task", hint="predict them in two runs")


def _groups(questions: Sequence[Predict]) -> list[list[Predict]]:
    """The questions that are answered together. Generated answers are computed on their own."""
    from mammal.inference.shared_pass import group_key

    groups: dict[Hashable, list[Predict]] = {}
    for place, one in enumerate(questions):
        key: Hashable = place if one.task.target_is_text else group_key(one.task)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _encoder(group: Sequence[Predict]) -> Encoder:
    from mammal.inference.shared_pass import SharedEncoder

    if len(group) == 1:
        return group[0].encoder
    return SharedEncoder(tuple(TaskEncoder(one.task, near=one.near) for one in group))


def _answers(
    group: Sequence[Predict], encoder: Encoder, rows: Sequence[Row], first: int, progress: Progress | None
) -> list[Answers]:
    """The answers of the tasks of a group."""
    if len(group) == 1:
        return [group[0].ask(rows, first=first, progress=progress)]
    from mammal.inference.shared_pass import predict_together

    cut: set[int] = set()
    said = predict_together(group, encoder, rows, progress=progress, cut=cut)
    return [one.records(predictions, cut, rows) for one, predictions in zip(group, said, strict=True)]

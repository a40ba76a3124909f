"""The tasks of the service: what each reads and answers, which verbs it can do, and an example of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mammal.errors import MammalError
from mammal.explanation.question import METHODS, available_methods
from mammal.rows.answer_columns import column_meanings
from mammal.rows.column_match import column_alphabets
from mammal.service.asking import Questions
from mammal.service.requests import OF_MODEL
from mammal.tasks.declaration.schema import unit_text

if TYPE_CHECKING:
    from mammal.inference.api import Mammal
    from mammal.tasks.task import Task

EXAMPLES = {
    "SMILES": ("CC(=O)Oc1ccccc1C(=O)O", "CCO"),
    "AA": ("GIGKFLHSAKKFGKAFVGEIMNS", "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQ"),
    "DNA": ("ACGTTGCATGCCGATAGCTTACGATCGGATCTAAGCT",),
}
"""Alphabet -> values: aspirin and ethanol, magainin 2 and the start of a protein, a stretch of DNA."""
_OTHER = ("2-acetyloxybenzoic acid", 1.0)
"""Values of columns that are not written in one of these alphabets: a name, and a number."""


@dataclass(frozen=True)
class ServedTask:
    """One task, as `GET /tasks` lists it.

    Attributes:
        name: its name.
        kind: its kind.
        about: one line about it.
        columns: columns that a row needs, each with what it is written in.
        optional: columns that a row may have.
        targets: columns of what it predicts, which `score` reads.
        answers: columns that `predict` adds.
        units: what the values of these columns are.
        labels: labels of a classification.
        verbs: what it can do.
        example: a row that it answers. None: there is none.
        drawn: columns of an answer that hold molecules.
        unit: the unit of its numbers.
    """

    name: str
    kind: str
    about: str
    columns: Mapping[str, str]
    optional: list[str]
    targets: list[str]
    answers: list[str]
    units: Mapping[str, str]
    labels: list[str]
    verbs: list[str]
    example: Mapping[str, Any] | None = None
    drawn: list[str] = field(default_factory=list)
    unit: str = ""

    @property
    def listed(self) -> dict[str, Any]:
        """The task as plain values."""
        return asdict(self)


def served_task(model: Mammal, questions: Questions, name: str) -> ServedTask:
    """Describes a task.

    Args:
        model: the model.
        questions: makes the questions of each verb.
        name: name of the task.
    """
    task = model.find_task(name)
    alphabets = column_alphabets(task)
    needed = [group[0] for group in task.needed]
    verbs = [verb for verb in OF_MODEL if _can(questions, verb, task)]
    answers = [one.name for one in questions.make("predict", {"task": name}).columns] if "predict" in verbs else []
    return ServedTask(
        name,
        task.kind,
        task.config.about or "",
        {column: alphabets.get(column, "") for column in needed},
        [column for column in dict.fromkeys([*task.columns, *task.beside]) if column not in needed],
        list(task.target_columns),
        answers,
        column_meanings(task),
        [str(label) for label in task.config.labels or ()],
        verbs,
        example_row(task),
        _drawn(task, needed, answers),
        unit_text(task.config.unit) if task.config.unit else "",
    )


def _drawn(task: Task, needed: list[str], answers: list[str]) -> list[str]:
    written = ["text"] if "text" in answers and task.molecules & {*task.target_columns} else []
    return [*written, *(column for column in needed if column in task.molecules)]


def _can(questions: Questions, verb: str, task: Task) -> bool:
    try:
        questions.make(verb, {"task": task.name, **explain_options(task.target_columns, verb)})
    except MammalError:
        return False
    return True


def explain_options(targets: Sequence[str], verb: str = "explain") -> dict[str, Any]:
    """Returns what a request of `explain` needs in addition to its rows and its task: nothing for other verbs.

    Args:
        targets: columns of what the task predicts.
        verb: the verb of the request.
    """
    if verb != "explain":
        return {}
    methods = available_methods()
    method = {} if METHODS[0] in methods else {"method": methods[0]}
    return {**method, **({"target": targets[0]} if len(targets) > 1 else {})}


def example_row(task: Task) -> dict[str, Any] | None:
    """Returns a row that the task can read.

    Args:
        task: the task.
    """
    alphabets = column_alphabets(task)
    needed = [group[0] for group in task.needed]
    for other in _OTHER:
        row = {name: EXAMPLES[alphabets[name]][0] if name in alphabets else other for name in needed}
        try:
            task.encode(row)
        except MammalError:
            continue
        return row
    return None

"""Evaluates the tasks of an open model on their held-out rows, or on labelled rows that the user brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.errors import ConfigError, did_you_mean
from mammal.evaluation.evaluate_task import Depth, check_count, evaluate_task
from mammal.evaluation.generated import SetOptions, drawn_freely, judge_answers
from mammal.evaluation.pretraining_leaks import check_pretraining
from mammal.evaluation.task_data import OWN, load_own_rows, load_task_data
from mammal.rows.task_choice import changed_task

if TYPE_CHECKING:
    from mammal.evaluation.results import TaskResult
    from mammal.evaluation.set_results import SetResult
    from mammal.evaluation.task_data import TaskData
    from mammal.inference.api import Mammal
    from mammal.tasks.task import Task

PARTS = ("test", "valid", "train")


@dataclass(frozen=True)
class EvaluatedRows:
    """Which rows of a task are evaluated, and how a generation task decodes its answers to them.

    Attributes:
        part: part of the task's own split: `test`, `valid` or `train`.
        limit: at most this many rows of each task, evenly spread; None: all.
        own: table of the user's labelled rows, which are evaluated instead; None: the rows of `part`.
        paths: `{"data": folder}` of local copies of data sets; None: the folder in `MAMMAL_DATA`.
        encoding: encoding of `own`, if that is a text file; None: UTF-8, or UTF-16 with a byte order mark.
        generation: keys that replace those of the task's `generation` section.
    """

    part: str = "test"
    limit: int | None = None
    own: Any = None
    paths: Mapping[str, object] | None = None
    generation: Mapping[str, Any] = field(default_factory=dict)
    encoding: str | None = None

    def __post_init__(self) -> None:
        check_part(self.part)
        if self.limit is not None:
            check_count("limit", self.limit, 1, hint="leave it out for all rows")
        if self.own is not None and self.part != PARTS[0]:
            what = f"part={self.part} names rows of the task's own split, and rows of your own have no parts"
            raise ConfigError(what, where="part", hint="leave one of them out")

    @property
    def name(self) -> str:
        """Name of the part in results."""
        return self.part if self.own is None else OWN


def check_part(part: str) -> None:
    """Refuses a name that is not the name of a part of a split.

    Args:
        part: the name.

    Raises:
        ConfigError: the name is unknown; the message suggests the nearest one.
    """
    if part not in PARTS:
        raise ConfigError(f"there is no part {part!r}", where="part", hint=did_you_mean(part, PARTS))


def evaluate_bundle(
    model: Mammal, tasks: Sequence[Task], *, rows: EvaluatedRows, depth: Depth, sets: SetOptions
) -> tuple[list[TaskResult], list[SetResult]]:
    """Evaluates tasks of a model one after another.

    Args:
        model: that answers.
        tasks: fitted; see `Mammal.find_task`.
        rows: which rows are evaluated.
        depth: what is done besides the evaluation of the model's own answers.
        sets: how generated molecules are evaluated as a set.

    Returns:
        One result for each task, and one for each set of generated molecules.

    Raises:
        ConfigError: `rows.generation` is given for a task that generates nothing.
        DataError: the data of a task can't be found or read, or a column is missing.
    """
    results, judged = [], []
    for task in tasks:
        data = rows_of(model, task, rows, depth)
        drawn = drawn_freely(model, data.task, sets.generated, draws=depth.draws, seed=depth.seed)
        result = evaluate_task(model.model, data, part=rows.name, depth=depth, drawn=drawn)
        if rows.own is not None:  # these rows have no split, so a hash of their content identifies them
            result = replace(result, split_hash=data.record.content)
        results.append(result)
        judged += judge_answers(result, data, sets, seed=depth.seed, device=str(model.device), drawn=drawn)
    return results, judged


def rows_of(model: Mammal, task: Task, rows: EvaluatedRows, depth: Depth) -> TaskData:
    """The rows of a task that are evaluated, with the training rows that baselines and similarities need.

    A warning is shown if the split differs from the one that the bundle was trained with, and if the model was
    pretrained on evaluated rows.

    Args:
        model: a loaded model.
        task: a fitted task.
        rows: which rows are evaluated.
        depth: tells whether training rows are needed.

    Raises:
        ConfigError: `rows.generation` is given for a task that does not generate text, or the task was fitted on the
            rows of every part.
        DataError: the data can't be found or read, or a column is missing.
    """
    task = _decoded_as(task, rows.generation)
    if rows.own is not None:
        with_train = depth.baselines or depth.neighbours
        how: dict[str, Any] = {"limit": rows.limit, "with_train": with_train, "encoding": rows.encoding}
        data = load_own_rows(task, rows.own, rows.paths, **how)
    else:
        _check_not_fitted(task, rows.part)
        data = load_task_data(task, rows.paths, {rows.part: rows.limit})
        _check_split(model, task.name, data.split.hash)
    if rows.name != PARTS[2]:
        data.pretraining |= check_pretraining(data.task, data.rows, model.pretraining, [rows.name])
    return data


def _decoded_as(task: Task, generation: Mapping[str, Any]) -> Task:
    """The task with these keys in its `generation` section.

    Raises:
        ConfigError: it generates nothing.
    """
    if not generation:
        return task
    if task.config.family not in ("generation", "denoising"):
        raise ConfigError(f"{task.name} generates nothing", where="generation", hint="task=NAME, of one that does")
    return changed_task(task, {"generation": generation})


def _check_not_fitted(task: Task, part: str) -> None:
    """Refuses the rows of a task whose model was fitted on all of them.

    Raises:
        ConfigError: it was; the hint says where its figures on held-out rows are.
    """
    from mammal.tasks.probes.task_probes import ALL

    if task.probes is not None and task.probes.fitted_on == ALL:
        what = f"the model was fitted on all rows of {task.name}, so its {part} rows are not held out"
        hint = (
            "`mammal info` shows its figures on test rows before that; input=FILE evaluates it on labelled rows of "
            "your own; adapt.rows=train trains a model that can be evaluated"
        )
        raise ConfigError(what, where=task.name, hint=hint)


def _check_split(model: Mammal, name: str, found: str) -> None:
    """Warns if the split differs from the one the bundle was trained with: evaluated rows may be training rows."""
    recorded = model.metrics.get(name)
    parts = recorded.values() if isinstance(recorded, dict) else ()
    hashes = (part.get("split_hash") for part in parts if isinstance(part, dict))
    trained = next(filter(None, hashes), None)  # the hash covers the whole split, so all parts have the same one
    if trained is not None and trained != found:
        console.note(
            f"warning: {name}: this is not the split it was trained with (hash {found[:12]}, then {trained[:12]}): "
            "the evaluated rows may have been training rows"
        )

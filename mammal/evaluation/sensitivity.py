"""How far a model's predictions move under changes of the input that should not affect them.

A change is another way to write the row (`mammal.tasks.perturbations`) or another view of it (`mammal.tasks.views`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.errors import MammalError
from mammal.evaluation.results import Shift
from mammal.rows.task_choice import changed_task
from mammal.tasks.perturbations import Perturbation, perturbations
from mammal.tasks.tables.spread_rows import spread_rows

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task


def sensitivity(
    model: MammalModel, task: Task, rows: Sequence[Row], answers: Sequence[Prediction], limit: int
) -> list[Shift]:
    """Predicts changed rows and compares the predictions with those of the original rows.

    Args:
        model: network with its adapters merged into the weights.
        task: a fitted task.
        rows: original rows.
        answers: the model's predictions for `rows`.
        limit: at most this many answered rows are used, evenly spread.

    Returns:
        One entry for each change that applies to the task, then one for each other view of its slots. Empty for tasks
        that generate text.
    """
    if task.family not in ("classification", "regression") or limit < 1:
        return []
    answered = [i for i, answer in enumerate(answers) if answer.error is None]
    if not answered:
        return []
    tried = [answered[i] for i in spread_rows(len(answered), limit)]
    tried_rows, ours = [rows[i] for i in tried], [answers[i] for i in tried]
    changes = [(name, task, change) for name, change in perturbations(task).items()]
    return [
        _shift(model, task, name, tried_rows, ours, reader, change)
        for name, reader, change in (*changes, *_other_views(task))
    ]


def _other_views(task: Task) -> Iterator[tuple[str, Task, Perturbation]]:
    """For each view of a slot except its default: its name, the task that shows it, and a filter of suitable rows."""
    asked = {column: slot.asked.name for column, slot in task.views.items() if slot.asked is not None}
    for column, slot in task.views.items():
        for view in slot.views:
            if view.name != slot.fixed_views[0].name:
                reader = changed_task(task, {"view": {**asked, column: view.name}})
                name = f"view {view.name}" + (f" of {column}" if len(task.views) > 1 else "")
                yield name, reader, partial(_shown_otherwise, task, reader, column)


def _shown_otherwise(task: Task, reader: Task, column: str, row: Row) -> Mapping[str, Any] | None:
    """The row, if it has the view that `reader` shows and `task` shows another one; else None."""
    try:
        same = reader.show(row)[column].view == task.show(row)[column].view
    except MammalError:
        return None
    return None if same else row


def _shift(
    model: MammalModel,
    task: Task,
    name: str,
    rows: Sequence[Row],
    answers: Sequence[Prediction],
    reader: Task,
    change: Perturbation,
) -> Shift:
    """Compares the answers to rows with the answers of `reader` to the changed rows.

    A changed row that the model reads as the row has an equal answer, so it is not predicted again.
    """
    from mammal.inference.predict import predict_rows

    pairs = [(row, new, answer) for row, answer in zip(rows, answers, strict=True) if (new := change(row)) is not None]
    differs = [_prepared(task, row) != _prepared(reader, new) for row, new, _ in pairs]
    read = iter(predict_rows(model, reader, [new for (_, new, _), other in zip(pairs, differs, strict=True) if other]))
    answered = [(old, next(read) if other else old) for (_, _, old), other in zip(pairs, differs, strict=True)]
    both = [(old, new) for old, new in answered if new.error is None]
    distances = np.array([distance(task, old, new) for old, new in both])
    flips = [_flipped(task, old, new) for old, new in both] if task.family == "classification" else []
    return Shift(
        name,
        rows=len(rows),
        changed=len(pairs),
        read_differently=sum(differs),
        moved=float(distances.mean()) if len(both) else float("nan"),
        furthest=float(distances.max()) if len(both) else float("nan"),
        flipped=float(np.mean(flips)) if flips else float("nan"),
        refused=len(pairs) - len(both),
        p95=float(np.quantile(distances, 0.95)) if len(both) else float("nan"),
    )


def distance(task: Task, one: Prediction, other: Prediction) -> float:
    """Distance between two predictions of a task.

    Args:
        task: the task of both predictions.
        one: a prediction.
        other: another prediction.

    Returns:
        Mean over target columns of |value - value| in the unit of the target, or of the total variation between the
        class probabilities.
    """
    apart = []
    for target in task.target_columns:
        a, b = one.for_target(target), other.for_target(target)
        if a.probabilities is not None and b.probabilities is not None:
            apart.append(0.5 * float(np.abs(np.subtract(a.probabilities, b.probabilities)).sum()))
        elif a.value is not None and b.value is not None:
            apart.append(abs(a.value - b.value))
    return float(np.mean(apart)) if apart else 0.0


def _flipped(task: Task, one: Prediction, other: Prediction) -> float:
    """Share of target columns with different labels."""
    return float(np.mean([one.for_target(t).label != other.for_target(t).label for t in task.target_columns]))


def _prepared(task: Task, row: Row) -> Any:
    """What the model reads of a row: the values of the prompt, and the texts of which a probe reads features (a prompt
    can show a molecule by its name); or the error message if the row can't be prepared."""
    reader = None if task.probes is None else task.probes.reader
    try:
        return task.prepare(row), reader and reader.texts(row)
    except MammalError as error:
        return str(error)

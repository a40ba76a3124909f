"""Columns that say how near a row is to the training rows (`mammal.tasks.applicability`).

    similarity    to the nearest training row, 0 to 1
    percentile    share of the validation rows that are as far from the training rows or farther, in percent
    outside       1 if the percentile is below 10, else 0
    nearest       on request: the nearest training rows as JSON, each with its similarity, its inputs and its labels

They are about the row, so a task with several target columns has them once.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from mammal.errors import ConfigError
from mammal.rows.answer_columns import AnswerColumn, Read
from mammal.tasks.applicability.training_rows import DISTANCES, OUTSIDE

if TYPE_CHECKING:
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.task import Task

SIMILARITY, PERCENTILE, OUTSIDE_COLUMN, NEAREST = "similarity", "percentile", "outside", "nearest"


def applicability_columns(task: Task, *, prefix: str = "", nearest: int = 0) -> dict[AnswerColumn, Read]:
    """Returns the columns, each with a function that reads its value from a prediction.

    Args:
        task: the task. Without training rows it has no such columns; with few validation rows, only `similarity`.
        prefix: text before each name.
        nearest: number of training rows in the column `nearest`; 0: no such column.
    """
    if task.training_rows is None:
        return {}
    columns: dict[AnswerColumn, Read] = {AnswerColumn(f"{prefix}{SIMILARITY}", "number"): lambda p: p.similarity}
    if task.training_rows.kept.references:
        columns[AnswerColumn(f"{prefix}{PERCENTILE}", "number")] = lambda p: p.percentile
        columns[AnswerColumn(f"{prefix}{OUTSIDE_COLUMN}", "integer")] = _outside
    if nearest:
        columns[AnswerColumn(f"{prefix}{NEAREST}", "text")] = partial(_nearest, nearest)
    return columns


def applicability_meanings(task: Task, prefix: str = "") -> dict[str, str]:
    """Returns what the values of the columns are: column -> its meaning.

    Args:
        task: the task.
        prefix: text before each name.
    """
    if task.training_rows is None:
        return {}
    kept = task.training_rows.kept
    found = {f"{prefix}{SIMILARITY}": f"{kept.measure} to the nearest of {kept.rows:,} training rows"}
    if kept.references:
        found[f"{prefix}{PERCENTILE}"] = "percent of the validation rows with this similarity or a lower one"
        found[f"{prefix}{OUTSIDE_COLUMN}"] = f"1 if {PERCENTILE} is below {OUTSIDE:g}"
    return found


def check_nearest(task: Task, nearest: int, *, applicability: bool) -> None:
    """Refuses a number of nearest training rows that can't be named.

    Args:
        task: the task.
        nearest: the number; 0: none.
        applicability: whether columns about the distance are requested.

    Raises:
        ConfigError: it is not a number of 0 or more, the columns are switched off, or the bundle lacks the rows.
    """
    if isinstance(nearest, bool) or not isinstance(nearest, int) or nearest < 0:
        raise ConfigError(f"nearest must be a whole number of 0 or more, not {nearest!r}")
    if not nearest:
        return
    if not applicability:
        raise ConfigError("nearest needs the distances that applicability=false leaves out", hint="applicability=true")
    hint = "train with applicability=full"
    if task.training_rows is None:
        raise ConfigError(f"the bundle keeps no training rows of {task.name}", where="nearest", hint=hint)
    if task.training_rows.kept.stored == DISTANCES:
        what = f"the bundle keeps neither inputs nor labels of the training rows of {task.name}"
        raise ConfigError(what, where="nearest", hint=hint)


def _outside(prediction: Prediction) -> int | None:
    return None if prediction.outside is None else int(prediction.outside)


def _nearest(count: int, prediction: Prediction) -> str | None:
    if prediction.nearest is None:
        return None
    rows: list[dict[str, Any]] = [
        {"similarity": round(near.similarity, 6), "inputs": dict(near.inputs), "labels": dict(near.labels)}
        for near in prediction.nearest[:count]
    ]
    return json.dumps(rows, ensure_ascii=False)

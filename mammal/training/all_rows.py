"""`adapt.rows=all`: fits the chosen probes on the rows of all parts, and calibrates them on out-of-fold predictions.

The rows are divided into folds. Each fold is predicted by probes that were fitted on the others, and compared with the
rows of the others, so no row calibrates a model that was fitted on it (cross-conformal prediction, Vovk 2015).

Shapes: N rows, F entries of a row's vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammal import console
from mammal.errors import TrainingError
from mammal.tasks.splits import PARTS
from mammal.tasks.tables.cells import cell, is_missing
from mammal.training.applicability import OFF, keep_training_rows, report_stored_texts
from mammal.training.probe import read_other_strand, read_vectors

if TYPE_CHECKING:
    from mammal.evaluation.task_data import TaskData
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.probes.task_probes import TaskProbes
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

FOLDS = 5


def fit_on_all_rows(model: MammalModel, data: TaskData, applicability: str) -> None:
    """Fits the probes of a task on the rows of all parts, with the models that were chosen, and calibrates the task.

    Args:
        model: model with the frozen encoder.
        data: rows of the task, which has fitted probes.
        applicability: what is kept of the rows (`mammal.training.applicability`).

    Raises:
        TrainingError: the rows are too few or too similar for folds.
    """
    from mammal.tasks.probes.task_probes import ALL

    task, chosen = data.task, data.task.probes
    assert chosen is not None, "the probes were fitted on the training rows"
    rows, vectors_NF = read_vectors(model, task, [row for part in PARTS for row in data.rows[part]])
    other_NF = read_other_strand(model, task, rows, vectors_NF) if chosen.strands > 1 else None
    task.fit(rows)  # the scale of labels; it also removes the calibration
    answers = _out_of_fold(model, task, chosen, rows, (vectors_NF, other_NF), applicability)
    task.probes = _fitted(task, chosen, rows, vectors_NF, other_NF)
    task.probes.fitted_on = ALL
    if applicability != OFF:
        keep_training_rows(model, task, rows, applicability, chosen.reader.mean_states(vectors_NF))
        report_stored_texts(task)
        if task.training_rows is not None:
            answers = task.training_rows.compare_with(answers)
    task.calibrate(answers, rows)
    console.note(f"{task.name}: fitted on all {len(rows):,} rows and calibrated on {FOLDS} folds of them")


def _fitted(
    task: Task, chosen: TaskProbes, rows: Sequence[Row], vectors_NF: np.ndarray, other_NF: np.ndarray | None
) -> TaskProbes:
    """Probes with the chosen models, fitted on these rows; features keep the scales of the training rows."""
    from mammal.tasks.probes.task_probes import TaskProbes

    probes = TaskProbes(task)
    probes.reader = chosen.reader
    probes.refit(vectors_NF, task.probe_columns(rows), chosen, other_NF)
    return probes


def _out_of_fold(
    model: MammalModel,
    task: Task,
    chosen: TaskProbes,
    rows: Sequence[Row],
    strands: tuple[np.ndarray, np.ndarray | None],
    applicability: str,
) -> list[Prediction]:
    """A prediction for each row by probes that were fitted on other folds."""
    from mammal.evaluation.evaluate_task import answers_of

    vectors_NF, other_NF = strands
    found: list[Prediction | None] = [None] * len(rows)
    for fit_on, asked in folds_of_rows(task, rows, vectors_NF, other_NF):
        others = [rows[place] for place in fit_on]
        other_strand = None if other_NF is None else other_NF[fit_on]
        task.probes = _fitted(task, chosen, others, vectors_NF[fit_on], other_strand)
        task.training_rows = None
        if applicability != OFF:
            keep_training_rows(model, task, others, "distances", chosen.reader.mean_states(vectors_NF[fit_on]))
        for place, answer in zip(asked, answers_of(model, task, [rows[place] for place in asked]), strict=True):
            found[place] = answer
    return [answer for answer in found if answer is not None]


def folds_of_rows(
    task: Task, rows: Sequence[Row], vectors_NF: np.ndarray, other_NF: np.ndarray | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divides rows into folds: (positions to fit on, positions to predict) of each.

    Rows with equal vectors stay together, on any strand. If the task is split by scaffold or by clusters of sequences,
    so do molecules with one scaffold and similar sequences.

    Args:
        task: the task.
        rows: the rows.
        vectors_NF: what probes read of them.
        other_NF: what they read of them on the other strand of DNA. None: they read one strand.

    Raises:
        TrainingError: there are fewer groups of rows than folds.
    """
    from sklearn.model_selection import GroupKFold

    groups_N = row_groups(task, rows, vectors_NF, other_NF)
    if (number := len(np.unique(groups_N))) < FOLDS:
        what = f"the rows form {number} groups of similar rows, which are too few for {FOLDS} folds"
        raise TrainingError(what, where=f"task {task.name}", hint="adapt.rows=train")
    return list(GroupKFold(FOLDS).split(vectors_NF, groups=groups_N))


def row_groups(
    task: Task, rows: Sequence[Row], vectors_NF: np.ndarray, other_NF: np.ndarray | None = None
) -> np.ndarray:
    """Returns the number of the group of each row, int64 [N]. Rows of a group are in the same fold.

    Args:
        task: the task.
        rows: the rows.
        vectors_NF: what probes read of them.
        other_NF: as for `folds_of_rows`.
    """
    strands = [vectors_NF] if other_NF is None else [vectors_NF, other_NF]
    _, equal = np.unique(np.concatenate(strands), axis=0, return_inverse=True)
    keys = [f"row {number}" for number in equal.reshape(len(strands), -1).min(axis=0).tolist()]
    split = task.config.data.split
    if split.endswith("scaffold"):
        keys = [_scaffold(task, row) or key for row, key in zip(rows, keys, strict=True)]
    elif split == "cluster":
        keys = _clusters(task, rows, keys)
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _text(task: Task, row: Row) -> str:
    value = cell(row, task.identities[0], task.aliases)
    return "" if is_missing(value) else str(value)


def _scaffold(task: Task, row: Row) -> str | None:
    """The scaffold of the first molecule; None for acyclic molecules, which share none."""
    from mammal.tasks.molecules.chemistry import murcko_scaffold

    found = murcko_scaffold(_text(task, row))
    return f"scaffold {found}" if found else None


def _clusters(task: Task, rows: Sequence[Row], keys: Sequence[str]) -> list[str]:
    """The cluster of each row's sequence; the key that a row has already, if it has no sequence."""
    from mammal.tasks.sequences.clusters import cluster_sequences

    texts = [_text(task, row) for row in rows]
    labels, _ = cluster_sequences([text for text in texts if text], task.config.data.identity)
    numbers = iter(labels.tolist())
    return [f"cluster {next(numbers)}" if text else key for text, key in zip(texts, keys, strict=True)]

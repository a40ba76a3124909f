"""`applicability`: keeps what is needed of the training rows, with which a bundle compares new rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal import console
from mammal.errors import ConfigError, MammalError, did_you_mean
from mammal.rows.batched import Pace, Refused, TaskEncoder
from mammal.tasks.applicability.fingerprints import molecule_column, row_fingerprint
from mammal.tasks.applicability.training_rows import FULL, OFF, STORED, TrainingRow, TrainingRows, mean_states, sample
from mammal.tasks.tables.cells import cell, is_missing

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.model.model import MammalModel
    from mammal.tasks.batches.batch import Batch
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)


def stored_rows(config: DictConfig) -> str:
    """Returns what a run stores of its training rows: `full`, `distances` or `off`.

    Args:
        config: configuration of the run.

    Raises:
        ConfigError: `applicability` has another value.
    """
    value = config.get("applicability", OFF)
    asked = OFF if value is None or str(value).lower() == "false" else str(value)  # YAML reads `off` as false
    if asked not in STORED:
        what = f"applicability can't be {asked!r}"
        raise ConfigError(what, where="applicability", hint=did_you_mean(asked, STORED, noun="value"))
    return asked


def keep_training_rows(
    model: MammalModel, task: Task, rows: Sequence[Row], stored: str, states_NW: np.ndarray | None = None
) -> None:
    """Sets `Task.training_rows`: fingerprints of the training molecules, or mean states of the training rows.

    Args:
        model: the trained model.
        task: the task.
        rows: its training rows.
        stored: `full` or `distances`.
        states_NW: mean state of each row, float32, if it was computed already; None: it is computed if needed.
    """
    task.training_rows = None
    places = sample(len(rows))
    picked = [rows[int(place)] for place in places]
    column = molecule_column(task)
    if column is not None:
        found = _molecules(task, picked, column)
    elif states_NW is not None:
        found = list(zip(picked, states_NW[places], strict=True))
    else:
        found = _states(model, task, picked)
    if not found:
        logger.info("%s: no training row can be kept to compare rows with", task.name)
        return
    values = np.stack([value for _, value in found])
    texts = [_texts(task, row) for row, _ in found] if stored == FULL else None
    if column is not None:
        task.training_rows = TrainingRows.of_molecules(column, values, len(rows), texts)
    else:
        tags = sorted(task.tokenizer.specials.values())
        task.training_rows = TrainingRows.of_states(values, len(rows), tags, texts)


def report_stored_texts(task: Task) -> None:
    """Prints that the bundle contains inputs and labels of training rows, if it does.

    Args:
        task: the task.
    """
    if task.training_rows is not None and task.training_rows.kept.stored == FULL:
        sentence = task.training_rows.kept.sentence
        console.note(f"{task.name}: the bundle contains {sentence}; applicability=distances leaves these out")


def _molecules(task: Task, rows: Sequence[Row], column: str) -> list[tuple[Row, np.ndarray]]:
    """The rows with a molecule, and its packed fingerprint."""
    found = ((row, row_fingerprint(task, row, column)) for row in rows)
    return [(row, bits_X) for row, bits_X in found if bits_X is not None]


def _states(model: MammalModel, task: Task, rows: Sequence[Row]) -> list[tuple[Row, np.ndarray]]:
    """The rows that can be read, and the mean state of each, float32 [W]."""
    from mammal.rows.run_model import run

    tags = sorted(task.tokenizer.specials.values())

    def answer(batch: Batch) -> Sequence[np.ndarray]:
        batch = batch.to(model.device)
        batch = batch if "pooled" in batch.wants else replace(batch, wants=("hidden",))
        return list(mean_states(model(batch), batch, tags))

    answers = run(model, rows, TaskEncoder(task), answer, Pace.of_device(model.device.type), None)
    return [(row, state_W) for row, state_W in zip(rows, answers, strict=True) if not isinstance(state_W, Refused)]


def _texts(task: Task, row: Row) -> TrainingRow:
    """What the prompt of a row shows, and its labels."""
    labels = {column: _plain(cell(row, column, task.aliases)) for column in task.target_columns}
    try:
        inputs = task.inputs(row)
    except MammalError:  # of a molecule that is given by another form than its SMILES
        inputs = {}
    return TrainingRow(inputs, {name: value for name, value in labels.items() if not is_missing(value)})


def _plain(value: Any) -> Any:
    """A cell as JSON can hold it."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)

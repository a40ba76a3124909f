"""Which rows a run has to do with that models were pretrained on: those of its start, and its own rows of a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.evaluation.task_data import TaskData
    from mammal.tasks.pretraining.pretraining_rows import PretrainingRows

CHECKED = ("valid", "test")


def check_start_rows(data: Mapping[str, TaskData], config: DictConfig) -> None:
    """Warns of validation and test rows that the model at `init` was pretrained on, and counts them for the evaluation.

    Args:
        data: rows by task.
        config: configuration of the run.

    Raises:
        BundleError: there is no model at `init`, or its filters are damaged.
    """
    from mammal.evaluation.pretraining_leaks import check_pretraining

    known = _of_start(config)
    for d in data.values():
        d.pretraining |= check_pretraining(d.task, d.rows, known, CHECKED)


def rows_to_save(data: Mapping[str, TaskData], config: DictConfig) -> PretrainingRows:
    """Returns the filters for the bundle of a run: those of the model at `init`, and those of the corpus it has read.

    Training rows that are not of a corpus are not among them. An adapter bundle leaves the filters of its base there.

    Args:
        data: rows by task.
        config: configuration of the run.

    Raises:
        BundleError: there is no model at `init`, or its filters are damaged.
        DataError: the hashes of a corpus are damaged.
    """
    from mammal.corpus.identities import rows_of_tasks

    paths = {"data": config.paths.data} if config.paths.data else None
    packs = Path(config.data.packed).expanduser() if config.data.packed else None
    known, own = _of_start(config), rows_of_tasks([d.task.config for d in data.values()], paths, packs)
    return own.without(known) if config.adapt.save == "adapters" else known.joined(own)


def _of_start(config: DictConfig) -> PretrainingRows:
    from mammal.bundle.locate import locate
    from mammal.bundle.pretraining import read_pretraining_rows
    from mammal.tasks.pretraining.pretraining_rows import PretrainingRows

    return read_pretraining_rows(locate(config.init)) if config.init else PretrainingRows()

"""Writes the files of an evaluation, for the command `mammal evaluate` and for `Evaluation.save`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mammal.evaluation.generated import with_earlier_sets
from mammal.evaluation.results import earlier_results, save_results, with_earlier
from mammal.evaluation.set_results import load_sets, save_sets
from mammal.evaluation.tables import save_tables

if TYPE_CHECKING:
    from mammal.evaluation.results import TaskResult
    from mammal.evaluation.set_results import SetResult


class Saved(NamedTuple):
    """The files that list what was written: `evaluation.json`, and `samples.json` if there are sets of molecules."""

    results: Path
    sets: Path | None


def save_evaluation(results: Sequence[TaskResult], sets: Sequence[SetResult], folder: Path) -> Saved:
    """Writes results next to those of other tasks and parts that the folder contains.

    Args:
        results: one for each task.
        sets: one for each set of generated molecules.
        folder: is created if it does not exist.

    Raises:
        DataError: earlier results in the folder are damaged.
    """
    every = with_earlier(results, earlier_results(folder))
    every_set = with_earlier_sets(sets, load_sets(folder)) if sets else []
    saved = save_results(every, folder)  # first: it says that the other files are of an evaluation
    save_tables(every, folder)
    return Saved(saved, save_sets(every_set, folder) if every_set else None)

"""Baseline for tasks that fill in one hidden stretch of a sequence: the most common residue at each position.

    profile   the most common residue at each position among training answers of the length that the row marks. If
              there are none of that length, those of the nearest length are used. The first half of the positions is
              then counted from the start, the second half from the end

It uses only the number of hidden residues of a row. The first and last residues of CDR-H3 hardly vary (A-R … F-D-Y), so
for CDR-H3 the baseline shows what the germline alone would recover.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.kinds.generation import GenerationTask, fills_in
from mammal.tokenization.errors import MammalError

if TYPE_CHECKING:
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

PROFILE = "profile"


def profiled(task: Task, train: Sequence[Row], test: Sequence[Row]) -> dict[str, list[Prediction]]:
    """Predicts the hidden stretch of the test rows from the most common residues.

    Args:
        task: the task.
        train: training rows; those that the task can't read are left out.
        test: test rows; those that the task can't read get a prediction with the error.

    Returns:
        Name of the baseline -> one prediction for each test row; empty if the baseline does not apply to the task.
    """
    if not fills_in(task) or len(task.target_columns) != 1 or task.number_targets:
        return {}
    by_length: dict[int, list[str]] = defaultdict(list)
    for row in train:
        try:
            (answer,) = task.prepare_target(row).values()
        except MammalError:
            continue
        by_length[len(answer)].append(answer)
    if not by_length:
        return {}
    return {PROFILE: [_say(task, number, row, by_length) for number, row in enumerate(test)]}


def _say(task: GenerationTask, number: int, row: Row, by_length: dict[int, list[str]]) -> Prediction:
    try:
        wanted = sum(task.fill_lengths(row))
    except MammalError as error:
        return Prediction(number, error=str(error))
    nearest = min(by_length, key=lambda length: (abs(length - wanted), length))
    known = by_length[nearest]
    places = [place if place < (wanted + 1) // 2 else place - wanted for place in range(wanted)]
    return Prediction(number, text="".join(_commonest(known, place) for place in places))


def _commonest(known: Sequence[str], place: int) -> str:
    """The most common character at a position (from the end if negative); of equals the first in the alphabet."""
    counts = Counter(text[place] for text in known if -len(text) <= place < len(text))
    return min(counts, key=lambda character: (-counts[character], character), default="")

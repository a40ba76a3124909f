"""The baseline of tasks that fill one hidden stretch of a sequence: the residue most often seen at each of its places.

    profile   answers of the length that the row marks: the commonest residue at each place. Where training has none of
              that length, its answers of the nearest length, the first half of the places counted from the start, the
              others from the end

It knows how many residues are hidden and nothing else of the row. For CDR-H3, whose first and last residues hardly vary
(A-R … F-D-Y), that is what germline alone would recover.
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
    """What the baseline says of the test rows, under its name; nothing for tasks that it does not fit.

    Test rows that the task would set aside carry the error; training rows like that are left out.
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
    """The commonest character at a place, from the end where it is negative; of equals the first of the alphabet."""
    counts = Counter(text[place] for text in known if -len(text) <= place < len(text))
    return min(counts, key=lambda character: (-counts[character], character), default="")

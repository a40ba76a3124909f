"""What makes two generated answers the same, for a call that wants only different ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from mammal.generation.samples import Sample, sample_prediction
from mammal.rows.batched import Row

if TYPE_CHECKING:
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.kinds.generation import GenerationTask


def sameness(task: GenerationTask | None) -> Callable[[Sample, Row], Hashable | None]:
    """Gives what two sequences have in common if they are the same answer to a row; None if one is not an answer.

    Molecules are compared by RDKit's canonical SMILES, other text as it is. Numbers next to text do not count.

    Args:
        task: that is answered; None: bare prompts, whose answers are compared token by token.
    """
    if task is None:
        return lambda sample, row: sample.ids

    def identity(sample: Sample, row: Row) -> Hashable | None:
        said = sample_prediction(task, 0, sample, row)
        return None if said.error is not None else _content(task, said)

    return identity


def _content(task: GenerationTask, said: Prediction) -> Hashable:
    if said.completed is not None:
        return tuple(_canonical(task, column, text) for column, text in said.completed.items())
    texts = [(column, said.for_target(column).text) for column in task.target_columns]
    written = tuple(_canonical(task, column, text) for column, text in texts if text is not None)
    return written or tuple(said.for_target(column).value for column in task.target_columns)


def _canonical(task: GenerationTask, column: str, text: str) -> str:
    if column not in task.molecules:
        return text
    from mammal.tasks.molecules.chemistry import canonical_or_none

    return canonical_or_none(text) or text

"""A stretch of bases as the prompt of a task shows it to the model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mammal.errors import DataError
from mammal.tokenization.entities import ENTITIES

if TYPE_CHECKING:
    from mammal.tasks.task import Task
    from mammal.tokenization.encoding import Encoding

DNA = "DNA"
"""Name of the alphabet."""


def reads_dna_alone(task: Task) -> bool:
    """Whether the task's input has one slot, which is written in the DNA alphabet, and no free text."""
    slots = [slot for slot in task.template.slots if slot.part == "input"]
    if len(slots) != 1 or task.config.prompt.raw or task.features:
        return False
    (slot,) = slots
    alphabet = ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name
    return slot.kind in ("entity", "alphabet") and alphabet == DNA


@dataclass(frozen=True)
class DnaPrompt:
    """The input of a task that reads DNA alone (`reads_dna_alone`)."""

    task: Task

    def encode(self, bases: str) -> tuple[Encoding, int]:
        """The prompt that holds these bases, and the position of the first of them; the others follow it.

        Raises:
            DataError: the prompt is too short for so many bases.
            PromptError: a letter that is no base.
        """
        (column,) = self.task.columns
        rendered = self.task.template.render({column: bases}, target=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a window that is cut off is an error here
            encoding = self.task.tokenizer.encode(rendered, max_len=self.task.config.max_len.input)
        places_N = np.flatnonzero(~np.isin(encoding.ids_L, self._specials))
        if len(places_N) != len(bases):
            what = f"the window has {len(bases):,} bases, the prompt of {self.task.name} holds {len(places_N):,}"
            raise DataError(what, hint=f"window={len(places_N)}")
        return encoding, int(places_N[0])

    @cached_property
    def _specials(self) -> np.ndarray:
        return np.fromiter(self.task.tokenizer.specials.values(), dtype=np.int64)

"""A DNA sequence in the prompt of a task."""

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
    """Whether the input of a task consists of a single slot in the DNA alphabet, without free text."""
    slots = [slot for slot in task.template.slots if slot.part == "input"]
    if len(slots) != 1 or task.config.prompt.raw or task.features:
        return False
    (slot,) = slots
    alphabet = ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name
    return slot.kind in ("entity", "alphabet") and alphabet == DNA


@dataclass(frozen=True)
class DnaPrompt:
    """The input of a task that only reads DNA (`reads_dna_alone`)."""

    task: Task

    def encode(self, bases: str) -> tuple[Encoding, int]:
        """Encodes the prompt with these bases.

        Args:
            bases: the DNA sequence.

        Returns:
            The encoded prompt, and the position of the first base in it. The other bases follow directly.

        Raises:
            DataError: the prompt is too short for this number of bases.
            PromptError: a letter is not a base.
        """
        (column,) = self.task.columns
        rendered = self.task.template.render({column: bases}, target=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a truncated window is an error here, not a warning
            encoding = self.task.tokenizer.encode(rendered, max_len=self.task.config.max_len.input)
        places_N = np.flatnonzero(~np.isin(encoding.ids_L, self._specials))
        if len(places_N) != len(bases):
            what = f"the window has {len(bases):,} bases, the prompt of {self.task.name} holds {len(places_N):,}"
            raise DataError(what, hint=f"window={len(places_N)}")
        return encoding, int(places_N[0])

    @cached_property
    def _specials(self) -> np.ndarray:
        return np.fromiter(self.task.tokenizer.specials.values(), dtype=np.int64)

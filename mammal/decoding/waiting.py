"""Prompts that wait until there is room for them in the batch of the decoder.

Shapes: B prompts, L encoder tokens, N packed encoder tokens, W model width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mammal.decoding.prompt_keys import PromptKeys
from mammal.errors import ConfigError
from mammal.model.model import MammalModel
from mammal.model.packing import Packing
from mammal.model.states import Memory
from mammal.tasks.batches.batch import Batch
from mammal.tasks.grammar.grammar import State


@dataclass(frozen=True)
class Prompts:
    """A batch of prompts for which sequences are to be generated.

    Attributes:
        batch: the encoded prompts, B rows, on the device of the model.
        names: identifies each prompt, B of them.
        starts: state of the grammar before the first token, for each prompt; None: `grammar.start()`.
        without: the same prompts without their conditions, for guidance.
    """

    batch: Batch
    names: Sequence[object]
    starts: Sequence[State] | None = None
    without: Batch | None = None


@dataclass(frozen=True)
class Entering:
    """Prompts that leave the queue together.

    Attributes:
        names: identifies each prompt.
        keys: their keys and values; with guidance also those of the prompts without their conditions.
        starts: state of the grammar before the first token, for each prompt; None: they are not given.
        tokens: number of tokens of all prompts.
        ids: token ids of each prompt, int64.
    """

    names: list[object]
    keys: list[PromptKeys]
    starts: list[State] | None
    tokens: int
    ids: list[np.ndarray]


Fits = Callable[[int, int, int], bool]
"""Whether a prompt can still enter: by the number of prompts that enter before it, its number of tokens, and the number
of tokens of all of them."""


class Waiting:
    """The queue of prompts. Batches are read and encoded one by one, when their first prompt is needed.

    Args:
        model: the model.
        source: batches of prompts.
        guided: whether the prompts without their conditions are also needed.
    """

    def __init__(self, model: MammalModel, source: Iterable[Prompts], *, guided: bool = False):
        self._model, self._source, self._guided = model, iter(source), guided
        self._batch: _Encoded | None = None

    def take(self, fits: Fits) -> Entering | None:
        """Removes prompts from the queue, in order, as long as they fit; None: none waits, or the next doesn't fit."""
        parts: list[Entering] = []
        count = total = 0
        while (batch := self._current()) is not None:
            part = batch.take(count, total, fits)
            if part is None:
                break
            parts.append(part)
            count, total = count + len(part.names), total + part.tokens
        return _joined(parts) if parts else None

    def next_tokens(self) -> int | None:
        """Number of tokens of the prompt that is next; None: none waits."""
        batch = self._current()
        return None if batch is None else batch.next_tokens

    def _current(self) -> _Encoded | None:
        """The batch to which the next prompt belongs."""
        while self._batch is None or self._batch.used_up:
            prompts = next(self._source, None)
            if prompts is None:
                self._batch = None
                return None
            self._batch = _Encoded(self._model, prompts, self._guided)
        return self._batch


class _Encoded:
    """A batch of which some prompts may have left."""

    def __init__(self, model: MammalModel, prompts: Prompts, guided: bool):
        self._model, self._prompts, self._next = model, prompts, 0
        self._memories = [model.encode(prompts.batch)]
        if guided:
            if prompts.without is None:
                raise ConfigError("guidance needs the same rows without their conditions")
            self._memories.append(model.encode(prompts.without))
        self._lengths = self._memories[0].packing.last_places
        ids_BL, mask_BL = prompts.batch.ids_BL.cpu().numpy(), prompts.batch.mask_BL.cpu().numpy()
        self._ids = [ids_L[mask_L] for ids_L, mask_L in zip(ids_BL, mask_BL, strict=True)]

    @property
    def used_up(self) -> bool:
        return self._next == len(self._lengths)

    @property
    def next_tokens(self) -> int:
        return int(self._lengths[self._next])

    def take(self, already: int, total: int, fits: Fits) -> Entering | None:
        """Removes prompts as long as they fit; `already` others, with `total` tokens, enter before them."""
        first, stop = self._next, self._next
        while stop < len(self._lengths):
            tokens = int(self._lengths[stop])
            if not fits(already + stop - first, tokens, total + tokens):
                break
            stop, total = stop + 1, total + tokens
        if stop == first:
            return None
        self._next = stop
        whole = stop - first == len(self._lengths)
        memories = self._memories if whole else [_part(memory, first, stop) for memory in self._memories]
        prompts = self._prompts
        return Entering(
            list(prompts.names[first:stop]),
            [PromptKeys.of(self._model, memory) for memory in memories],
            None if prompts.starts is None else list(prompts.starts[first:stop]),
            int(self._lengths[first:stop].sum()),
            self._ids[first:stop],
        )


def _joined(parts: list[Entering]) -> Entering:
    if len(parts) == 1:
        return parts[0]
    return Entering(
        [name for part in parts for name in part.names],
        [PromptKeys.joined(keys) for keys in zip(*(part.keys for part in parts), strict=True)],
        None if parts[0].starts is None else [start for part in parts for start in part.starts or ()],
        sum(part.tokens for part in parts),
        [ids for part in parts for ids in part.ids],
    )


def _part(memory: Memory, first: int, stop: int) -> Memory:
    """The states of some prompts of a batch."""
    mask_BL = memory.packing.mask_BL[first:stop]
    return Memory(memory.states_NW[memory.packing.tokens_BL[first:stop][mask_BL]], Packing.of_mask(mask_BL))

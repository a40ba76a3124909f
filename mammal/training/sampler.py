"""Selects the rows of each batch: tasks are mixed, and a batch contains rows of one task and of similar length.

Every choice depends only on the seed and on the number of passes over a task, not on time or on the machine. So a run
that was stopped in the middle of an epoch continues with the same batches as an uninterrupted run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mammal.errors import ConfigError, did_you_mean
from mammal.tasks.batches.token_batches import token_batches

BatchIndex = tuple[str, list[int]]
"""Name of a task, and the rows of one of its batches."""


@dataclass(frozen=True)
class Budget:
    """How large a batch may be.

    Attributes:
        tokens: maximal number of tokens without padding; a longer row is a batch of its own.
        rows: maximal number of rows.
        window: number of rows that are sorted by length together. Large windows need less padding, small windows mix
            rows better.

    Raises:
        ConfigError: an attribute is not a whole number above 0.
    """

    tokens: int = 4096
    rows: int = 512
    window: int = 4096

    def __post_init__(self) -> None:
        keys = {"tokens_per_batch": self.tokens, "max_rows": self.rows, "window": self.window}
        for key, value in keys.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"data.{key} must be a whole number above 0, not {value!r}")

    def batches(self, lengths_N: np.ndarray, seed: int | None) -> list[list[int]]:
        """Divides rows into batches; each row occurs once.

        Args:
            lengths_N: number of tokens of each row, int64 [N].
            seed: random seed of the order of rows and batches; None: sorted by length, window by window.
        """
        return token_batches(lengths_N.tolist(), self.tokens, max_rows=self.rows, window=self.window, seed=seed)


class _Stream:
    """The batches of one task over several passes, and the current position."""

    def __init__(self, lengths_N: np.ndarray, budget: Budget, seed: tuple[int, ...]):
        self.lengths_N, self.budget, self.seed = lengths_N, budget, seed
        self.passes = self.used = 0
        self._batches: tuple[int, list[list[int]]] | None = None

    def batches(self) -> list[list[int]]:
        if self._batches is None or self._batches[0] != self.passes:
            seed = int(np.random.SeedSequence((*self.seed, self.passes)).generate_state(1)[0])
            self._batches = self.passes, self.budget.batches(self.lengths_N, seed)
        return self._batches[1]

    def take(self, count: int) -> list[list[int]]:
        taken: list[list[int]] = []
        while len(taken) < count:
            batches = self.batches()
            more = batches[self.used : self.used + count - len(taken)]
            taken += more
            self.used += len(more)
            if self.used == len(batches):
                self.passes, self.used = self.passes + 1, 0
        return taken


@dataclass
class MixtureSampler:
    """Epochs of batches of several tasks. Iterating gives the rest of the current epoch, or the next epoch.

    An epoch has as many batches as one pass over every task. The share of task i is proportional to
    `rate_i × tokens_i ** (1 / temperature)` (Arivazhagan et al. 2019, "Massively Multilingual Neural Machine
    Translation in the Wild"). With rates of 1 and temperature 1, each row is used about once per epoch. A task with a
    larger share starts its next pass in the same epoch; a task with a smaller share continues its pass in the next
    epoch. So a higher temperature oversamples small tasks. `max_passes` limits how often they are repeated: batches
    beyond that limit are given to the other tasks, in proportion to their shares. The batches of each task are spread
    evenly over the epoch, so that a step that accumulates several batches has a fair share of every task.

    Args:
        lengths: number of tokens of every row, by task.
        rates: rate of each task, see above.
        temperature: see above.
        rank: index of this process. With several processes, each uses one of every `world` batches. The last round of
            an epoch is filled with the first batches, so that all processes have the same number of steps.
        world: number of processes.
        max_passes: maximal number of passes over the rows of a task in an epoch; None: no limit.
    """

    lengths: Mapping[str, np.ndarray]
    budget: Budget = field(default_factory=Budget)
    rates: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    seed: int = 0
    rank: int = 0
    world: int = 1
    max_passes: float | None = None

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.rates) - set(self.lengths)):
            hint = did_you_mean(unknown[0], self.lengths, noun="task")
            raise ConfigError(f"there is a rate for {unknown[0]!r}, which is not a task of this run", hint=hint)
        for name, lengths_N in self.lengths.items():
            if not len(lengths_N):
                raise ConfigError(f"task {name} has no training row", hint="check its split and the unusable rows")
        self._streams = {
            name: _Stream(lengths_N, self.budget, (self.seed, number))
            for number, (name, lengths_N) in enumerate(self.lengths.items())
        }
        self.quota = self._quota()
        self.epoch = self.served = 0
        self._start = self._cursors()

    def __len__(self) -> int:
        """Number of batches of an epoch in this process."""
        return -(-sum(self.quota.values()) // self.world)

    def __iter__(self) -> Iterator[BatchIndex]:
        self.begin()
        plan = self._plan()
        while self.served < len(self):
            batch = plan[(self.served * self.world + self._place()) % len(plan)]
            self.served += 1
            yield batch

    def _place(self) -> int:
        """The place of this process in the current round of `world` batches.

        Evenly spread tasks return at regular places, so a fixed place could give a process batches of one task alone.
        """
        if self.world == 1 or len(self._streams) == 1:
            return self.rank
        rng = np.random.default_rng((self.seed, self.world, self.epoch, self.served))
        return int(rng.permutation(self.world)[self.rank])

    def begin(self) -> None:
        """Starts the next epoch if the current one is finished."""
        if self.served >= len(self):
            self._next_epoch()

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "served": self.served, "world": self.world, "start": self._start}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Moves to a recorded position; if the number of processes differs, to the round of batches that contains it.

        Args:
            state: result of `state_dict`.

        Raises:
            ConfigError: the position was recorded for other tasks.
        """
        if set(state["start"]) != set(self._streams):
            tasks = ", ".join(sorted(state["start"]))
            raise ConfigError(
                "the checkpoint to resume was trained on other tasks", where="resume", hint=f"its tasks: {tasks}"
            )
        self.epoch, self._start = state["epoch"], dict(state["start"])
        self.served = -(-state["served"] * state["world"] // self.world)

    def _plan(self) -> list[BatchIndex]:
        """All batches of the current epoch, in order; afterwards the streams are at the end of the epoch."""
        for name, stream in self._streams.items():
            stream.passes, stream.used = self._start[name]
        queues = {name: iter(stream.take(self.quota[name])) for name, stream in self._streams.items()}
        names = [name for name, count in self.quota.items() for _ in range(count)]
        rng = np.random.default_rng((self.seed, len(names), self.epoch))
        places = [(np.arange(count) + rng.random()) / count for count in self.quota.values() if count]
        order = np.argsort(np.concatenate(places), kind="stable")
        return [(names[i], next(queues[names[i]])) for i in order]

    def _next_epoch(self) -> None:
        self._plan()
        self.epoch, self.served, self._start = self.epoch + 1, 0, self._cursors()

    def _cursors(self) -> dict[str, tuple[int, int]]:
        return {name: (stream.passes, stream.used) for name, stream in self._streams.items()}

    def _quota(self) -> dict[str, int]:
        """Number of batches of each task in an epoch."""
        rates = {name: self.rates.get(name, 1.0) for name in self.lengths}
        if min(rates.values()) < 0 or sum(rates.values()) <= 0:
            raise ConfigError("rates must not be negative, and one must be positive", where="mixture")
        if self.temperature <= 0:
            raise ConfigError(f"temperature must be positive, not {self.temperature}", where="mixture")
        if self.max_passes is not None and self.max_passes <= 0:
            raise ConfigError(f"max_passes must be positive, not {self.max_passes}", where="mixture")
        batches = {name: len(stream.batches()) for name, stream in self._streams.items()}
        if len(batches) == 1:
            return batches
        share = {name: rates[name] * float(n.sum()) ** (1 / self.temperature) for name, n in self.lengths.items()}
        return _divided(share, batches, self.max_passes)


def _divided(share: Mapping[str, float], batches: Mapping[str, int], max_passes: float | None) -> dict[str, int]:
    """Divides the batches of one pass by share; batches beyond the limit of a task are given to the others."""
    limit = {name: math.inf if max_passes is None else max(1, int(max_passes * n)) for name, n in batches.items()}
    full: dict[str, int] = {}
    while True:
        left = sum(batches.values()) - sum(full.values())
        whole = sum(part for name, part in share.items() if name not in full)
        quota = {
            name: full[name] if name in full else max(int(part > 0), round(left * part / whole) if whole else 0)
            for name, part in share.items()
        }
        over = {name: int(limit[name]) for name, count in quota.items() if count > limit[name]}
        if not over:
            return quota
        full |= over

"""Which rows make the next batch: a mixture of tasks, batches of one task and similar length, the same in every run.

Every choice depends on the seed and on how many passes a task has made, never on time or on the machine, so a run that
stopped in mid-epoch goes on with the very batches that a straight run would have had.
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
"""A task's name and the rows of one of its batches."""


@dataclass(frozen=True)
class Budget:
    """How large a batch may be.

    Attributes:
        tokens: real tokens, padding left out; a row that is longer is a batch of its own.
        rows: at most so many rows.
        window: rows that are sorted by length together; large windows waste less on padding, small ones mix better.

    Raises:
        ConfigError: one of them is no whole number above 0.
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
        """Every row once, shuffled by `seed` (None: in order of length, window by window)."""
        return token_batches(lengths_N.tolist(), self.tokens, max_rows=self.rows, window=self.window, seed=seed)


class _Stream:
    """One task's batches, pass after pass, and the place reached in them."""

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
    """Epochs of batches drawn from several tasks. Iterating gives what is left of the current epoch, or the next one.

    An epoch has as many batches as one pass over every task. Task i has the share
    `rate_i × tokens_i ** (1 / temperature)` of them (Arivazhagan et al. 2019, "Massively Multilingual Neural Machine
    Translation in the Wild"): with rates of 1 and temperature 1 each row is seen about once an epoch; a task with a
    larger share starts its next pass, one with a smaller share goes on where it was. So a higher temperature
    oversamples small tasks, and `max_passes` says how often they may be repeated: what a task can't take within that
    many passes goes to the others, by their shares.

    Args:
        lengths: tokens of every row, by task.
        rates, temperature: the shares.
        rank, world: with several processes, each takes every `world`-th batch; the last round of an epoch is filled up
            with its first batches, so that all processes take as many steps.
        max_passes: passes over its rows that a task makes in an epoch at most; None: as many as its share asks for.
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
            raise ConfigError(f"there is a rate for {unknown[0]!r}, which is no task of this run", hint=hint)
        for name, lengths_N in self.lengths.items():
            if not len(lengths_N):
                raise ConfigError(f"task {name} has no training row", hint="look at its split and at rows set aside")
        self._streams = {
            name: _Stream(lengths_N, self.budget, (self.seed, number))
            for number, (name, lengths_N) in enumerate(self.lengths.items())
        }
        self.quota = self._quota()
        self.epoch = self.served = 0
        self._start = self._cursors()

    def __len__(self) -> int:
        """Batches of an epoch in this process."""
        return -(-sum(self.quota.values()) // self.world)

    def __iter__(self) -> Iterator[BatchIndex]:
        self.begin()
        plan = self._plan()
        while self.served < len(self):
            batch = plan[(self.served * self.world + self.rank) % len(plan)]
            self.served += 1
            yield batch

    def begin(self) -> None:
        """Turn to the next epoch if the current one is done."""
        if self.served >= len(self):
            self._next_epoch()

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "served": self.served, "world": self.world, "start": self._start}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to a recorded place; with another number of processes, to the round of batches that holds it.

        Raises:
            ConfigError: the record is of other tasks.
        """
        if set(state["start"]) != set(self._streams):
            tasks = ", ".join(sorted(state["start"]))
            raise ConfigError(
                "the checkpoint to resume was trained on other tasks", where="resume", hint=f"it knows {tasks}"
            )
        self.epoch, self._start = state["epoch"], dict(state["start"])
        self.served = -(-state["served"] * state["world"] // self.world)

    def _plan(self) -> list[BatchIndex]:
        """All batches of the current epoch, in order; leaves the streams at the epoch's end."""
        for name, stream in self._streams.items():
            stream.passes, stream.used = self._start[name]
        queues = {name: iter(stream.take(self.quota[name])) for name, stream in self._streams.items()}
        names = [name for name, count in self.quota.items() for _ in range(count)]
        order = np.random.default_rng((self.seed, len(names), self.epoch)).permutation(len(names))
        return [(names[i], next(queues[names[i]])) for i in order]

    def _next_epoch(self) -> None:
        self._plan()
        self.epoch, self.served, self._start = self.epoch + 1, 0, self._cursors()

    def _cursors(self) -> dict[str, tuple[int, int]]:
        return {name: (stream.passes, stream.used) for name, stream in self._streams.items()}

    def _quota(self) -> dict[str, int]:
        """Batches of each task in an epoch."""
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
    """One pass' worth of batches divided by share, none above its limit while another can take what is over."""
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

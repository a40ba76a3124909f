"""Which sequence is computed in which row of the batch. Sequences that wait take the rows of those that have ended.

Shapes: B prompts, C rows of each, D = B * C.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mammal.decoding.random_numbers import Draw
from mammal.decoding.steps import DecodingSteps
from mammal.decoding.waiting import Entering, Waiting
from mammal.tasks.grammar.grammar import State

_ENTER_FROM = 1 / 16
"""Sequences enter when at least this share of the rows is free, because each time costs a few operations."""


class Finished(NamedTuple):
    """A sequence that has ended.

    Attributes:
        name: identifies its prompt.
        number: number of the sequence among those of its prompt, from 0; in beam search the best first.
        ids: its token ids, int64, `<EOS>` included if it was produced.
        score: the score that ranks it.
        log_likelihood: sum of log-probabilities.
        values: values of the ids, float32; None for models without a decoder scalar head.
        log_share: see `mammal.decoding.Generated.log_shares`; None if it is not computed.
        draw: for sampling: its random numbers.
    """

    name: object
    number: int
    ids: np.ndarray
    score: float
    log_likelihood: float
    values: np.ndarray | None = None
    log_share: float | None = None
    draw: Draw | None = None


Finish = Callable[[Finished], Draw | None]
"""Function that gets each sequence when it ends. If it returns random numbers, the sequence is sampled again."""


class _Job(NamedTuple):
    number: int
    draw: Draw | None


@dataclass
class _Prompt:
    """A prompt in the batch, the state of the grammar before its first token, and how many sequences have started."""

    name: object
    start: State
    started: int = 0


@dataclass(frozen=True)
class Demand:
    """What is generated for each prompt.

    Attributes:
        copies: number of sequences.
        draw: returns the random numbers of a sequence, for the name of the prompt and the number of the sequence. None:
            nothing is sampled.
        start: state of the grammar before the first token of prompts without a state of their own.
    """

    copies: int
    draw: Callable[[object, int], Draw] | None
    start: State = None


class Slots:
    """The rows of the batch.

    Args:
        steps: the decoder, with C rows for each of the first prompts.
        first: these prompts.
        demand: what is generated for each prompt.
        waiting: further prompts.
        fits: whether a waiting prompt of this number of tokens can take the place of another.
    """

    def __init__(
        self, steps: DecodingSteps, first: Entering, demand: Demand, waiting: Waiting, fits: Callable[[int], bool]
    ):
        self._steps, self._demand, self._waiting, self._fits = steps, demand, waiting, fits
        self._prompts = self._listed(first)
        self._jobs: list[_Job | None] = [None] * (steps.groups * steps.copies)
        self._exhausted = False
        self._next_copies()

    @property
    def rows(self) -> int:
        """D, number of rows."""
        return len(self._jobs)

    def open_D(self) -> np.ndarray:
        """Whether each row has a sequence, which has not ended, bool [D]."""
        return np.array([job is not None for job in self._jobs])

    @property
    def exhausted(self) -> bool:
        """Whether no sequence waits any more."""
        if not self._exhausted and all(prompt.started == self._demand.copies for prompt in self._prompts):
            tokens = self._waiting.next_tokens()
            self._exhausted = tokens is None or not self._fits(tokens)
        return self._exhausted

    def draws(self, rows: np.ndarray) -> list[Draw]:
        """The random numbers of the sequences in these rows."""
        jobs = [self._jobs[row] for row in rows.tolist()]
        return [job.draw for job in jobs if job is not None and job.draw is not None]

    def end(self, rows: np.ndarray, ended: list[Finished], finish: Finish) -> np.ndarray:
        """Passes on the sequences of rows that have ended, and starts new sequences in free rows.

        Args:
            rows: rows whose sequence has ended.
            ended: what is known of each of these sequences, without name, number and random numbers.
            finish: gets each sequence.

        Returns:
            Rows in which a new sequence starts: those that are sampled again, and those that waited.
        """
        again = []
        for row, sequence in zip(rows.tolist(), ended, strict=True):
            job, prompt = self._jobs[row], self._prompts[row // self._steps.copies]
            assert job is not None, "only a row with a sequence can end"
            draw = finish(sequence._replace(name=prompt.name, number=job.number, draw=job.draw))
            self._jobs[row] = None if draw is None else job._replace(draw=draw)
            if draw is not None:
                again.append(row)
        self._restart(again)
        return np.array([*again, *self._enter()], dtype=np.int64)

    def keep_rows(self, rows: np.ndarray) -> None:
        """Keeps only these rows (sorted indices). No prompt can enter afterwards."""
        if self._steps.groups > 1:
            self._prompts = [self._prompts[row // self._steps.copies] for row in rows.tolist()]
        self._jobs = [self._jobs[row] for row in rows.tolist()]
        self._steps.keep_rows(rows)

    def _enter(self) -> list[int]:
        """Lets waiting sequences take free rows, if enough rows are free; returns these rows."""
        free = self._jobs.count(None)
        if free < _ENTER_FROM * self.rows or self.exhausted:
            return []
        rows = self._next_copies()
        self._restart(rows)
        rows += self._next_prompts()
        idle = [row for row, job in enumerate(self._jobs) if job is None]
        self._steps.ages.restart(np.array(idle, dtype=np.int64))  # so that attention does not read their many tokens
        return rows

    def _next_copies(self) -> list[int]:
        """Starts the next sequences of each prompt in its free rows; returns these rows."""
        rows, demand, copies = [], self._demand, self._steps.copies
        for group, prompt in enumerate(self._prompts):
            for row in range(group * copies, (group + 1) * copies):
                if self._jobs[row] is None and prompt.started < demand.copies:
                    draw = None if demand.draw is None else demand.draw(prompt.name, prompt.started)
                    self._jobs[row] = _Job(prompt.started, draw)
                    prompt.started += 1
                    rows.append(row)
        return rows

    def _next_prompts(self) -> list[int]:
        """Lets prompts take the places of those whose sequences have all ended; returns their rows."""
        groups = self._free_groups()
        if not groups:
            return []
        entering = self._waiting.take(lambda already, tokens, _: already < len(groups) and self._fits(tokens))
        if entering is None:
            return []
        taken, listed = groups[: len(entering.names)], self._listed(entering)
        for group, prompt in zip(taken, listed, strict=True):
            self._prompts[group] = prompt
        self._steps.enter(np.array(taken), entering.keys, [prompt.start for prompt in listed], entering.ids)
        return self._next_copies()

    def _free_groups(self) -> list[int]:
        copies = self._steps.copies
        return [
            group
            for group in range(self._steps.groups)
            if all(job is None for job in self._jobs[group * copies : (group + 1) * copies])
        ]

    def _restart(self, rows: list[int]) -> None:
        if rows:
            starts = [self._prompts[row // self._steps.copies].start for row in rows]
            self._steps.restart(np.array(rows), starts)

    def _listed(self, entering: Entering) -> list[_Prompt]:
        starts = entering.starts or [self._demand.start] * len(entering.names)
        return [_Prompt(name, start) for name, start in zip(entering.names, starts, strict=True)]
